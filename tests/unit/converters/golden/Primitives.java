// Runs a table of values through Kafka's own converters of primitives; see make_primitives.py.
import java.util.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.storage.Converter;

public class Primitives {
    static final String[] NAMES = {"Short", "Integer", "Long", "Float", "Double", "Boolean"};

    public static void main(String[] args) throws Exception {
        Object[][] values = {
            {Schema.INT16_SCHEMA, (short) 7}, {Schema.INT16_SCHEMA, Short.MIN_VALUE}, {Schema.INT32_SCHEMA, 7}, {Schema.INT32_SCHEMA, -1},
            {Schema.INT64_SCHEMA, 7L}, {Schema.INT64_SCHEMA, Long.MIN_VALUE}, {Schema.FLOAT32_SCHEMA, 1.5f}, {Schema.FLOAT32_SCHEMA, Float.NaN},
            {Schema.FLOAT64_SCHEMA, -0.0}, {Schema.FLOAT64_SCHEMA, Double.NEGATIVE_INFINITY}, {Schema.BOOLEAN_SCHEMA, true},
            {Schema.BOOLEAN_SCHEMA, false}, {Schema.STRING_SCHEMA, "7"}, {Schema.INT8_SCHEMA, (byte) 7}, {Schema.OPTIONAL_INT32_SCHEMA, null},
        };
        String[] messages = {"", "00", "01", "02", "0007", "00000007", "ffffffff", "0000000000000007", "fff8000000000000", "7fc00000", "000000000000000007"};
        StringBuilder out = new StringBuilder();
        for (String name : NAMES) {
            Converter c = (Converter) Class.forName("org.apache.kafka.connect.converters." + name + "Converter").getDeclaredConstructor().newInstance();
            c.configure(Map.of(), false);
            for (Object[] v : values) {
                String result;
                try {
                    byte[] b = c.fromConnectData("t", (Schema) v[0], v[1]);
                    result = b == null ? "null" : HexFormat.of().formatHex(b);
                } catch (Exception e) {
                    result = "refused";
                }
                out.append("write\t" + name + "\t" + ((Schema) v[0]).type().getName() + "\t" + v[1] + "\t" + result + "\n");
            }
            for (String m : messages) {
                String result;
                try {
                    SchemaAndValue r = c.toConnectData("t", HexFormat.of().parseHex(m));
                    result = r.schema().type().getName() + " " + r.schema().isOptional() + " " + r.value();
                } catch (Exception e) {
                    result = "refused";
                }
                out.append("read\t" + name + "\t\t" + m + "\t" + result + "\n");
            }
        }
        System.out.print(out);
    }
}
