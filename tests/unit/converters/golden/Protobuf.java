import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.confluent.connect.protobuf.ProtobufConverter;
import io.confluent.kafka.schemaregistry.ParsedSchema;
import io.confluent.kafka.schemaregistry.client.MockSchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.rest.entities.SchemaReference;
import io.confluent.kafka.schemaregistry.protobuf.ProtobufSchemaProvider;
import java.io.File;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;

/** What the original makes of each case in a file of JSON: see make_protobuf.py. */
public class Protobuf {
  static final ObjectMapper JSON = new ObjectMapper();
  static final JsonConverter RECORDS = new JsonConverter();

  public static void main(String[] arguments) throws Exception {
    RECORDS.configure(Map.of("schemas.enable", "true", "converter.type", "value"), false);
    List<ObjectNode> made = new ArrayList<>();
    for (JsonNode one : JSON.readTree(new File(arguments[0]))) {
      ObjectNode result = JSON.createObjectNode();
      try {
        run(one, result);
      } catch (Throwable error) {
        result.put("error", error.getClass().getSimpleName());  // a read that JsonConverter does not take keeps its mark
      }
      made.add(result);
    }
    JSON.writeValue(new File(arguments[1]), made);
  }

  static void run(JsonNode one, ObjectNode result) throws Exception {
    MockSchemaRegistryClient registry = new MockSchemaRegistryClient(List.of(new ProtobufSchemaProvider()));
    Map<String, Object> options = new HashMap<>(Map.of("schema.registry.url", "mock://x"));
    one.get("options").fields().forEachRemaining(o -> options.put(o.getKey(), o.getValue().asText()));
    ProtobufConverter converter = new ProtobufConverter(registry);
    converter.configure(options, false);
    byte[] message;
    if (one.has("record")) {
      SchemaAndValue given = RECORDS.toConnectData("t", JSON.writeValueAsBytes(one.get("record")));
      message = converter.fromConnectData("t", given.schema(), given.value());
      result.put("message", message == null ? null : hex(message));
      if (message != null) result.put("text", registry.getLatestSchemaMetadata("t-value").getSchema());
      return;
    }
    int id = 0;
    for (JsonNode file : one.get("files")) {
      List<SchemaReference> references = new ArrayList<>();
      for (JsonNode name : file.get("references")) references.add(new SchemaReference(name.asText(), name.asText(), 1));
      ParsedSchema schema = registry.parseSchema("PROTOBUF", file.get("text").asText(), references).get();
      id = registry.register(file.get("subject").asText(), schema);
    }
    message = java.util.HexFormat.of().parseHex(String.format("00%08x", id) + one.get("message").asText());
    SchemaAndValue read = converter.toConnectData("t", message);
    result.put("read", "null where none is allowed");
    result.set("read", JSON.readTree(RECORDS.fromConnectData("t", read.schema(), read.value())));
  }

  static String hex(byte[] bytes) {
    return java.util.HexFormat.of().formatHex(bytes);
  }
}
