package example.intake;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.StrictErrorHandler;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.gclient.ICriterion;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import ca.uhn.fhir.util.BundleUtil;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.AuditEvent;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.Condition;
import org.hl7.fhir.r4.model.Extension;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.Observation;
import org.hl7.fhir.r4.model.OperationOutcome;
import org.hl7.fhir.r4.model.Provenance;
import org.hl7.fhir.r4.model.Questionnaire;
import org.hl7.fhir.r4.model.QuestionnaireResponse;
import org.hl7.fhir.r4.model.QuestionnaireResponse.QuestionnaireResponseStatus;

/**
 * HAPI's generic client as a backend app of the Symptom Intake API.
 *
 * <p>Standard input is the order, standard output what it saw, both JSON: see tests/clients/ordering.py.
 */
public final class ApiClient {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

    private final FhirContext fhir = FhirContext.forR4();
    private final JsonNode order;
    private final IGenericClient anonymous;
    private final IGenericClient client;

    private ApiClient(JsonNode order) throws Exception {
        this.order = order;
        // By default HAPI drops unknown elements with a log line.
        fhir.setParserErrorHandler(new StrictErrorHandler());
        anonymous = fhir.newRestfulGenericClient(text("base"));
        client = fhir.newRestfulGenericClient(text("base"));
        client.registerInterceptor(new BearerTokenAuthInterceptor(accessToken()));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> seen = new ApiClient(JSON.readTree(System.in)).run();
        JSON.writeValue(System.out, seen);
    }

    private Map<String, Object> run() throws Exception {
        var seen = new LinkedHashMap<String, Object>();
        String[] canonical = text("canonical").split("\\|");
        ICriterion<?> version = Questionnaire.VERSION.exactly().code(canonical[1]);
        seen.put("questionnaires", Map.of(
                "canonical", questionnaires(Questionnaire.URL.matches().value(text("canonical"))),
                "version", questionnaires(Questionnaire.URL.matches().value(canonical[0]), version)));

        var verdict = client.validate().resource(response("response")).execute();
        var outcome = (OperationOutcome) verdict.getOperationOutcome();
        seen.put("severities", outcome.getIssue().stream().map(issue -> issue.getSeverity().toCode()).toList());

        var draft = response("draft");
        var created = (QuestionnaireResponse) client.create().resource(draft).execute().getResource();
        seen.put("draft", stateOf(created));
        var changed = update(created);
        created.setStatus(QuestionnaireResponseStatus.COMPLETED);
        seen.put("stale", refused(() -> update(created)));
        changed.setStatus(QuestionnaireResponseStatus.COMPLETED);
        seen.put("completed", stateOf(update(changed)));

        seen.put("saved", List.of(stateOf(save()), stateOf(save())));
        IdType submitted = submit();
        seen.put("submitted", List.of(submitted.getIdPart(), submit().getIdPart()));
        seen.put("read", jsonOf(client.read()
                .resource(QuestionnaireResponse.class)
                .withId(submitted.getIdPart())
                .execute()));
        ICriterion<?> ofPatient = QuestionnaireResponse.PATIENT.hasId(text("patient"));
        Bundle responses = search(client, QuestionnaireResponse.class, ofPatient);
        seen.put("responses", ids(List.of(responses), QuestionnaireResponse.class));
        List<Bundle> pages = observations();
        seen.put("observations", Map.of(
                "ids", ids(pages, Observation.class),
                "provenances", ids(pages, Provenance.class),
                "pages", pages.size()));
        Bundle conditions = search(client, Condition.class, Condition.PATIENT.hasId(text("patient")));
        seen.put("conditions", ids(List.of(conditions), Condition.class));

        seen.put("anonymous", refused(() -> search(anonymous, QuestionnaireResponse.class, ofPatient)));
        seen.put("forbidden", refused(() -> search(client, AuditEvent.class)));
        return seen;
    }

    private String text(String name) {
        return order.get(name).asText();
    }

    private QuestionnaireResponse response(String name) {
        return fhir.newJsonParser().parseResource(QuestionnaireResponse.class, order.get(name).toString());
    }

    private String accessToken() throws Exception {
        CapabilityStatement statement =
                anonymous.capabilities().ofType(CapabilityStatement.class).execute();
        Extension endpoints = statement.getRestFirstRep().getSecurity().getExtensionByUrl(OAUTH_URIS);
        String address = endpoints.getExtensionString("token");
        String credentials = text("client_id") + ":" + text("client_secret");
        var form = Map.of("grant_type", "client_credentials", "scope", text("scope"), "resource", text("base"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(address))
                .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes()))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(form.entrySet().stream()
                        .map(each -> each.getKey() + "=" + URLEncoder.encode(each.getValue(), StandardCharsets.UTF_8))
                        .collect(Collectors.joining("&"))))
                .build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        JsonNode token = JSON.readTree(answer.body()).get("access_token");
        if (token == null) {
            throw new IllegalStateException("no token: " + answer.body());
        }
        return token.asText();
    }

    private List<String> questionnaires(ICriterion<?>... criteria) {
        Bundle found = search(client, Questionnaire.class, criteria);
        return BundleUtil.toListOfResourcesOfType(fhir, found, Questionnaire.class).stream()
                .map(each -> each.getUrl() + "|" + each.getVersion())
                .toList();
    }

    /** Sends If-Match, because the id of what was read has its version. */
    private QuestionnaireResponse update(QuestionnaireResponse response) {
        return (QuestionnaireResponse) client.update().resource(response).execute().getResource();
    }

    private QuestionnaireResponse save() {
        var named = response("named_draft");
        var outcome = client.update().resource(named).conditional().where(sameAs(named)).execute();
        return (QuestionnaireResponse) outcome.getResource();
    }

    private IdType submit() {
        var response = response("response");
        return (IdType) client.create().resource(response).conditional().where(sameAs(response)).execute().getId();
    }

    private static ICriterion<?> sameAs(QuestionnaireResponse response) {
        var identifier = response.getIdentifier();
        return QuestionnaireResponse.IDENTIFIER
                .exactly()
                .systemAndIdentifier(identifier.getSystem(), identifier.getValue());
    }

    private static Bundle search(
            IGenericClient by, Class<? extends IBaseResource> type, ICriterion<?>... criteria) {
        var query = by.search().forResource(type).returnBundle(Bundle.class);
        for (ICriterion<?> each : criteria) {
            query = query.where(each);
        }
        return query.execute();
    }

    private List<Bundle> observations() {
        var pages = new ArrayList<Bundle>();
        Bundle page = client.search()
                .forResource(Observation.class)
                .where(Observation.PATIENT.hasId(text("patient")))
                .revInclude(Provenance.INCLUDE_TARGET)
                .count(order.get("page_size").asInt())
                .returnBundle(Bundle.class)
                .execute();
        pages.add(page);
        while (page.getLink(Bundle.LINK_NEXT) != null) {
            page = client.loadPage().next(page).execute();
            pages.add(page);
        }
        return pages;
    }

    private List<String> ids(List<Bundle> pages, Class<? extends IBaseResource> type) {
        return pages.stream()
                .flatMap(page -> BundleUtil.toListOfResourcesOfType(fhir, page, type).stream())
                .map(each -> each.getIdElement().getIdPart())
                .toList();
    }

    private JsonNode jsonOf(IBaseResource resource) throws Exception {
        return JSON.readTree(fhir.newJsonParser().encodeResourceToString(resource));
    }

    private static Map<String, String> stateOf(QuestionnaireResponse response) {
        return Map.of(
                "id", response.getIdElement().getIdPart(),
                "status", response.getStatus().toCode(),
                "version", response.getMeta().getVersionId());
    }

    private static Map<String, Object> refused(Runnable action) {
        try {
            action.run();
        } catch (BaseServerResponseException refusal) {
            var outcome = (OperationOutcome) refusal.getOperationOutcome();
            return Map.of(
                    "type", refusal.getClass().getSimpleName(),
                    "status", refusal.getStatusCode(),
                    "text", outcome.getIssueFirstRep().getDiagnostics());
        }
        throw new IllegalStateException("was not refused");
    }
}
