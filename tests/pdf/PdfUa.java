import java.io.FileInputStream;
import java.io.InputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/**
 * Validates the files that it is given against PDF/UA-1 (ISO 14289-1). Prints a line for each that conforms, with the
 * number of checks, and one for each fault of the others, with the clause.
 */
public final class PdfUa {
    private PdfUa() {}

    public static void main(String[] files) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        for (String file : files) {
            try (InputStream content = new FileInputStream(file);
                    PDFAParser parser = Foundries.defaultInstance().createParser(content, PDFAFlavour.PDFUA_1);
                    PDFAValidator validator = Foundries.defaultInstance().createValidator(PDFAFlavour.PDFUA_1, false)) {
                report(file, validator.validate(parser));
            }
        }
    }

    private static void report(String file, ValidationResult result) {
        if (result.isCompliant()) {
            System.out.println(file + "\tconforms\t" + result.getTotalAssertions());
        }
        for (TestAssertion fault : result.getTestAssertions()) {
            System.out.println(file + "\t" + fault.getRuleId().getClause() + "\t" + fault.getMessage());
        }
    }
}
