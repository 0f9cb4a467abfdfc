package example.intake;

import ca.uhn.hapi.fhir.cdshooks.api.json.CdsServicesJson;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * Reads JSON of CDS Hooks with HAPI's own classes and writes back what it understood, a line for a line.
 *
 * <p>A line of input is the simple name of a class in {@code ca.uhn.hapi.fhir.cdshooks.api.json}, a tab, and the JSON.
 * A property that the class does not know is an error, which ends the program; only discovery may have more, because
 * HAPI's class lacks {@code usageRequirements}.
 */
public final class CdsHooksReader {

    private static final String PACKAGE = CdsServicesJson.class.getPackageName();

    private CdsHooksReader() {}

    public static void main(String[] arguments) throws IOException, ClassNotFoundException {
        var mapper = new ObjectMapper();
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            var parts = line.split("\t", 2);
            var type = Class.forName(PACKAGE + "." + parts[0]);
            var reader = mapper.readerFor(type);
            if (type == CdsServicesJson.class) {
                reader = reader.without(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
            }
            System.out.write(mapper.writeValueAsBytes(reader.readValue(parts[1])));
            System.out.println();
        }
    }
}
