// Runs the original transforms over a table of cases: what they do is what the unit tests replay.
//
//   java -Duser.timezone=UTC -Duser.language=en -Duser.country=US -cp 'JARS/*' Capture.java CASES.json RESULTS.json
//
// A case: {"class", "config", "record": {topic, partition, timestamp, offset, key, value, headers}}. Keys, values
// and headers are JsonConverter envelopes ({"schema", "payload"}) or null. An offset makes it a sink's record.
// A result: the record in the same form, null (dropped), {"test": boolean}, {"error": class} or {"refused": class}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

public class Capture {
    static final ObjectMapper JSON = new ObjectMapper();
    static final JsonConverter CONVERTER = new JsonConverter();
    static final SimpleHeaderConverter SIMPLE = new SimpleHeaderConverter();

    public static void main(String[] args) throws Exception {
        CONVERTER.configure(Map.of("schemas.enable", "true", "replace.null.with.default", "false"), false);
        ArrayNode results = JSON.createArrayNode();
        for (JsonNode one : JSON.readTree(new File(args[0]))) {
            ObjectNode result = one.deepCopy();
            result.set("result", run(one));
            results.add(result);
        }
        StringBuilder out = new StringBuilder("[\n");
        for (int i = 0; i < results.size(); i++) {
            out.append(JSON.writeValueAsString(results.get(i))).append(i + 1 < results.size() ? ",\n" : "\n");
        }
        java.nio.file.Files.writeString(new File(args[1]).toPath(), out.append("]\n").toString());
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static JsonNode run(JsonNode one) throws Exception {
        Map<String, String> config = new HashMap<>();
        one.get("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
        Object made = Class.forName(one.get("class").asText()).getDeclaredConstructor().newInstance();
        try {
            if (made instanceof Predicate) ((Predicate) made).configure(config);
            else ((Transformation) made).configure(config);
        } catch (Exception e) {
            return JSON.createObjectNode().put("refused", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
        ConnectRecord record = record(one.get("record"));
        try {
            if (made instanceof Predicate) return JSON.createObjectNode().put("test", ((Predicate) made).test(record));
            ConnectRecord changed = ((Transformation) made).apply(record);
            return changed == null ? JSON.nullNode() : written(changed);
        } catch (Exception e) {
            return JSON.createObjectNode().put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }

    static ConnectRecord<?> record(JsonNode r) {
        SchemaAndValue key = read(r.get("key"));
        SchemaAndValue value = read(r.get("value"));
        ConnectHeaders headers = new ConnectHeaders();
        if (r.has("headers")) for (JsonNode h : r.get("headers")) headers.add(h.get("key").asText(), read(h.get("value")));
        Integer partition = r.hasNonNull("partition") ? r.get("partition").asInt() : null;
        Long timestamp = r.hasNonNull("timestamp") ? r.get("timestamp").asLong() : null;
        String topic = r.get("topic").asText();
        if (r.hasNonNull("offset")) {
            return new SinkRecord(topic, partition == null ? 0 : partition, key.schema(), key.value(), value.schema(),
                value.value(), r.get("offset").asLong(), timestamp, TimestampType.CREATE_TIME, headers);
        }
        return new SourceRecord(Map.of(), Map.of(), topic, partition, key.schema(), key.value(), value.schema(),
            value.value(), timestamp, headers);
    }

    static SchemaAndValue read(JsonNode envelope) {
        if (envelope == null || envelope.isNull()) return SchemaAndValue.NULL;
        return CONVERTER.toConnectData("t", envelope.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    static JsonNode written(ConnectRecord<?> r) throws Exception {
        ObjectNode out = JSON.createObjectNode();
        out.put("topic", r.topic());
        out.put("partition", r.kafkaPartition());
        out.put("timestamp", r.timestamp());
        out.set("key", text(r.keySchema(), r.key()));
        out.set("value", text(r.valueSchema(), r.value()));
        ArrayNode headers = out.putArray("headers");
        for (Header h : r.headers()) {
            ObjectNode header = headers.addObject().put("key", h.key());
            header.set("value", text(h.schema(), h.value()));
            byte[] simple = SIMPLE.fromConnectHeader("t", h.key(), h.schema(), h.value());
            header.put("simple", simple == null ? null : new String(simple, "UTF-8"));
        }
        return out;
    }

    // The exact text, so that number forms and the order of fields are compared; null for a null message.
    static JsonNode text(org.apache.kafka.connect.data.Schema schema, Object value) throws Exception {
        if (schema == null && value == null) return JSON.nullNode();
        try {
            return JSON.getNodeFactory().textNode(new String(CONVERTER.fromConnectData("t", schema, value), "UTF-8"));
        } catch (Exception e) {
            return JSON.createObjectNode().put("unwritable", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }
}
