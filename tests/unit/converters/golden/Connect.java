// Runs tables of values and of messages through Kafka's own converters; see make_connect.py, which also says how values are written.
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.*;

public class Connect {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final JsonConverter SCHEMAS = new JsonConverter();

    public static void main(String[] args) throws Exception {
        SCHEMAS.configure(Map.of("schemas.enable", "true", "replace.null.with.default", "false"), false);
        ObjectNode table = (ObjectNode) MAPPER.readTree(Files.readString(Path.of(args[0])));
        for (JsonNode converter : table.get("converters")) {
            ObjectNode results = (ObjectNode) converter;
            for (JsonNode v : table.get("values")) results.withArray("written").add(written(converter, v));
            for (JsonNode m : table.get("messages")) results.withArray("read").add(read(converter, m.asText()));
        }
        Files.writeString(Path.of(args[1]), MAPPER.writeValueAsString(table));
    }

    static Object made(JsonNode converter) throws Exception {
        Map<String, String> options = new HashMap<>();
        converter.get("options").fields().forEachRemaining(e -> options.put(e.getKey(), e.getValue().asText()));
        Object made = Class.forName(converter.get("class").asText()).getDeclaredConstructor().newInstance();
        if (made instanceof Converter) ((Converter) made).configure(options, false);
        else ((HeaderConverter) made).configure(options);
        return made;
    }

    static String written(JsonNode converter, JsonNode v) throws Exception {
        Object made = made(converter);
        try {
            Schema schema = SCHEMAS.asConnectSchema(v.get("schema"));
            Object value = value(schema, v.get("value"));
            byte[] out = made instanceof Converter
                ? ((Converter) made).fromConnectData("t", schema, value) : ((HeaderConverter) made).fromConnectHeader("t", "h", schema, value);
            return out == null ? "null" : HexFormat.of().formatHex(out);
        } catch (Exception e) {
            return "refused " + e.getClass().getSimpleName();
        }
    }

    static JsonNode read(JsonNode converter, String message) throws Exception {
        Object made = made(converter);
        byte[] data = HexFormat.of().parseHex(message);
        try {
            SchemaAndValue r = made instanceof Converter
                ? ((Converter) made).toConnectData("t", data) : ((HeaderConverter) made).toConnectHeader("t", "h", data);
            ObjectNode out = MAPPER.createObjectNode();
            out.set("schema", r == null || r.schema() == null ? NullNode.instance : SCHEMAS.asJsonSchema(r.schema()));
            out.set("value", r == null ? NullNode.instance : shown(r.value()));
            return out;
        } catch (Exception e) {
            return TextNode.valueOf("refused " + e.getClass().getSimpleName());
        }
    }

    static Object value(Schema schema, JsonNode v) {
        if (v == null || v.isNull()) return null;
        if (v.isObject() && v.has("$bytes")) return ByteBuffer.wrap(HexFormat.of().parseHex(v.get("$bytes").asText()));
        if (v.isObject() && v.has("$decimal")) return new BigDecimal(v.get("$decimal").asText());
        if (v.isObject() && v.has("$float64")) return Double.valueOf(v.get("$float64").asText());
        if (v.isObject() && v.has("$float32")) return Float.valueOf(v.get("$float32").asText());
        if (v.isObject() && v.has("$pairs")) {
            Map<Object, Object> map = new LinkedHashMap<>();
            for (JsonNode p : v.get("$pairs")) map.put(value(schema == null ? null : schema.keySchema(), p.get(0)), value(schema == null ? null : schema.valueSchema(), p.get(1)));
            return map;
        }
        if (v.isTextual()) return v.asText();
        if (v.isBoolean()) return v.asBoolean();
        if (v.isNumber()) return number(schema, v);
        if (v.isArray()) {
            List<Object> list = new ArrayList<>();
            for (JsonNode e : v) list.add(value(schema == null ? null : schema.valueSchema(), e));
            return list;
        }
        if (schema != null && schema.type() == Schema.Type.STRUCT) {
            Struct struct = new Struct(schema);
            v.fields().forEachRemaining(e -> struct.put(e.getKey(), value(schema.field(e.getKey()).schema(), e.getValue())));
            return struct;
        }
        Map<String, Object> map = new LinkedHashMap<>();
        v.fields().forEachRemaining(e -> map.put(e.getKey(), value(schema == null ? null : schema.valueSchema(), e.getValue())));
        return map;
    }

    static Object number(Schema schema, JsonNode v) {
        if (schema == null) return v.longValue();
        String name = schema.name() == null ? "" : schema.name();
        if (name.equals(org.apache.kafka.connect.data.Date.LOGICAL_NAME)) return org.apache.kafka.connect.data.Date.toLogical(schema, v.intValue());
        if (name.equals(Time.LOGICAL_NAME)) return Time.toLogical(schema, v.intValue());
        if (name.equals(Timestamp.LOGICAL_NAME)) return Timestamp.toLogical(schema, v.longValue());
        switch (schema.type()) {
            case INT8: return (byte) v.intValue();
            case INT16: return (short) v.intValue();
            case INT32: return v.intValue();
            default: return v.longValue();
        }
    }

    // Types are told apart: a number of any integer type is a JSON number, all others are marked.
    static JsonNode shown(Object value) {
        ObjectNode marked = MAPPER.createObjectNode();
        if (value == null) return NullNode.instance;
        if (value instanceof byte[]) return marked.put("$bytes", HexFormat.of().formatHex((byte[]) value));
        if (value instanceof BigDecimal) return marked.put("$decimal", value.toString());
        if (value instanceof Double) return marked.put("$float64", value.toString());
        if (value instanceof Float) return marked.put("$float32", value.toString());
        if (value instanceof java.util.Date) return marked.put("$ms", ((java.util.Date) value).getTime());
        if (value instanceof String) return TextNode.valueOf((String) value);
        if (value instanceof Boolean) return BooleanNode.valueOf((Boolean) value);
        if (value instanceof Number) return LongNode.valueOf(((Number) value).longValue());
        if (value instanceof List) {
            ArrayNode list = MAPPER.createArrayNode();
            for (Object e : (List<?>) value) list.add(shown(e));
            return list;
        }
        if (value instanceof Struct) {
            for (Field f : ((Struct) value).schema().fields()) marked.set(f.name(), shown(((Struct) value).getWithoutDefault(f.name())));
            return marked;
        }
        ArrayNode pairs = marked.putArray("$pairs");
        ((Map<?, ?>) value).entrySet().stream().sorted(Comparator.comparing(e -> String.valueOf(e.getKey())))
            .forEach(e -> pairs.add(MAPPER.createArrayNode().add(shown(e.getKey())).add(shown(e.getValue()))));
        return marked;
    }
}
