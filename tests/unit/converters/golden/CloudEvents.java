// Runs change events, given as messages of the JsonConverter, through Debezium's own CloudEventsConverter; see make_cloud_events.py.
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.header.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.common.header.internals.RecordHeaders;
import io.debezium.converters.CloudEventsConverter;

public class CloudEvents {
    public static void main(String[] args) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        ArrayNode cases = (ArrayNode) mapper.readTree(Files.readString(Path.of(args[0])));
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "true"), false);
        for (JsonNode c : cases) {
            Map<String, String> options = new HashMap<>();
            c.get("options").fields().forEachRemaining(e -> options.put(e.getKey(), e.getValue().asText()));
            String result;
            try {
                CloudEventsConverter converter = new CloudEventsConverter();
                converter.configure(options, false);
                SchemaAndValue record = json.toConnectData("t", c.get("message").asText().getBytes(StandardCharsets.UTF_8));
                RecordHeaders headers = new RecordHeaders();
                if (c.has("headers")) for (JsonNode h : c.get("headers")) headers.add(h.get(0).asText(), h.get(1).isNull() ? null : h.get(1).asText().getBytes(StandardCharsets.UTF_8));
                byte[] out = converter.fromConnectData("t", headers, record.schema(), record.value());
                result = out == null ? null : new String(out, StandardCharsets.UTF_8);
            } catch (Exception e) {
                result = "refused: " + e;
            }
            ((ObjectNode) c).put("result", result);
        }
        Files.writeString(Path.of(args[1]), mapper.writerWithDefaultPrettyPrinter().writeValueAsString(cases));
    }
}
