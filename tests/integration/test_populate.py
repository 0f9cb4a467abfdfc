"""$populate and $questionnaire-package over HTTP, for the shipped page: sent data, a FHIR server, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.bootstrap import Services
from service.fhir.elements import extensions
from service.fhir.models import model_issues
from service.packs import Pack
from service.sdc.vocabulary import ANSWER_SOURCE
from service.web.app import create_app
from tests.integration.answers import answer_with, detail, issues_of, item
from tests.integration.patient_record import (
    ATC,
    ICD10,
    RXNORM,
    SCT,
    SUBJECT,
    FakeServer,
    bundle,
    concept,
    condition,
    patient,
    pregnancy,
    request_for,
    statement_for,
)

Json = dict[str, Any]
PAGE = "/fhir/Questionnaire/muscle-fasciculation"
YES, NO = "373066001", "373067005"


def context(name: str, *contents: Json) -> Json:
    parts = [
        {"name": "content", **({"resource": one} if "resourceType" in one else {"valueReference": one})}
        for one in contents
    ]
    return {"name": "context", "part": [{"name": "name", "valueString": name}, *parts]}


def parameters(*entries: Json, subject: Json | None = SUBJECT) -> Json:
    named = [{"name": "subject", "valueReference": subject}] if subject else []
    return {"resourceType": "Parameters", "parameter": [*named, *entries]}


def record(*resources: Json) -> Json:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}
    return {"name": "data", "resource": bundle}


def post(client: FlaskClient, body: Json, path: str = f"{PAGE}/$populate") -> TestResponse:
    return client.post(path, data=json.dumps(body), headers={"Content-Type": "application/fhir+json"})


def part(answer: TestResponse, name: str) -> Json:
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert model_issues(answer.json) == []
    return next((entry["resource"] for entry in answer.json["parameter"] if entry["name"] == name), {})


def codes(answer: TestResponse, link_id: str) -> list[str]:
    return [one["valueCoding"]["code"] for one in item(part(answer, "response"), link_id).get("answer", [])]


def origins(answer: TestResponse, link_id: str) -> list[str]:
    found = extensions(item(part(answer, "response"), link_id), ANSWER_SOURCE)
    return [extension["valueReference"]["reference"] for extension in found]


@pytest.fixture
def with_server(services: Services) -> Callable[[FakeServer], FlaskClient]:
    """A client of a service whose FHIR server is the given one."""

    def make(server: FakeServer) -> FlaskClient:
        population = replace(services.population, open_server=lambda: nullcontext(server))
        return create_app(replace(services.site(), population=population)).test_client()

    return make


# ---- the page


@pytest.mark.parametrize(
    ("birth_date", "wanted"),
    [("1980-05-17", [YES]), ("1980", [YES]), ("2100-01-01", [NO]), (None, [])],
)
def test_age_from_the_birth_date(client: FlaskClient, birth_date: str | None, wanted: list[str]) -> None:
    born = {} if birth_date is None else {"birthDate": birth_date}
    answer = post(client, parameters(context("patient", patient(**born))))
    assert codes(answer, "age-16-or-over") == wanted
    assert origins(answer, "age-16-or-over") == (["Patient/1"] if wanted else [])


@pytest.mark.parametrize("precision", [4, 7])
def test_a_partial_birth_date_that_does_not_decide_gives_no_age(
    services: Services, client: FlaskClient, precision: int
) -> None:
    today = services.clock().date()
    born = f"{today.year - 16}-{today.month:02}-{today.day:02}"[:precision]
    assert codes(post(client, parameters(context("patient", patient(birthDate=born)))), "age-16-or-over") == []


@pytest.mark.parametrize(
    ("system", "code", "wanted"),
    [
        (SCT, "77386006", ["77386006"]),
        (SCT, "60001007", ["60001007"]),
        ("http://loinc.org", "LA15173-0", ["77386006"]),
        ("http://loinc.org", "LA26683-5", ["60001007"]),
        ("http://loinc.org", "LA4489-6", ["261665006"]),
        ("http://loinc.org", "LA0-0", []),
    ],
)
def test_pregnancy_status(services: Services, client: FlaskClient, system: str, code: str, wanted: list[str]) -> None:
    today = services.clock().date().isoformat()
    answer = post(
        client, parameters(context("patient", patient()), record(pregnancy("o1", today, concept(system, code))))
    )
    assert codes(answer, "pregnant") == wanted
    assert origins(answer, "pregnant") == (["Observation/o1"] if wanted else [])


def test_the_newest_pregnancy_status_counts_and_none_that_is_not_final_or_too_old(
    services: Services, client: FlaskClient
) -> None:
    this_year = services.clock().date()
    today, old = this_year.isoformat(), f"{this_year.year - 1}-01-01"
    found = [
        pregnancy("old", old, concept(SCT, "77386006")),
        pregnancy("draft", f"{today}", concept(SCT, "77386006"), status="preliminary"),
        pregnancy("other", f"{today}", concept(SCT, "77386006"), subject={"reference": "Patient/2"}),
    ]
    answer = post(client, parameters(context("patient", patient()), record(*found)))
    assert codes(answer, "pregnant") == []
    found.append(pregnancy("now", today, concept(SCT, "60001007")))
    assert codes(post(client, parameters(context("patient", patient()), record(*found))), "pregnant") == ["60001007"]


MEDICATION = {"resourceType": "Medication", "id": "m1", "code": concept(ATC, "H02AB07")}


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (request_for("r1", concept(ATC, "C03CA01")), ["C03"]),
        (request_for("r1", concept(ATC, "G03CA03")), ["G03C"]),
        (request_for("r1", concept(ATC, "G03AA07")), []),
        (request_for("r1", concept(ATC, "N05AN01")), ["N05AN01"]),
        (request_for("r1", concept(ATC, "N06BA04")), ["N06B"]),
        (request_for("r1", concept(ATC, "R03AC02")), ["R03AC"]),
        (request_for("r1", concept(ATC, "N07AA02")), ["N07AA"]),
        (request_for("r1", concept(ATC, "R03BA02")), []),
        (request_for("r1", concept(RXNORM, "4603")), ["C03"]),
        (request_for("r1", concept(RXNORM, "8640")), ["H02"]),
        (request_for("r1", concept(RXNORM, "42351")), ["N05AN01"]),
        (request_for("r1", concept(RXNORM, "10438")), ["R03DA04"]),
        (request_for("r1", concept(RXNORM, "1191")), []),
        (request_for("r1", concept("urn:other", "C03CA01")), []),
        (request_for("r1", {"text": "furosemide"}), []),
        (request_for("r1", concept(ATC, "C03CA01"), status="stopped"), []),
        (request_for("r1", concept(ATC, "C03CA01"), intent="proposal"), []),
        (request_for("r1", concept(ATC, "C03CA01"), doNotPerform=True), []),
        (request_for("r1", concept(ATC, "C03CA01"), subject={"reference": "Patient/2"}), []),
        (statement_for("r1", concept(ATC, "C03CA01")), ["C03"]),
        (statement_for("r1", concept(RXNORM, "6901")), ["N06B"]),
        (statement_for("r1", concept(ATC, "C03CA01"), status="completed"), []),
    ],
)
def test_kinds_of_medicine(client: FlaskClient, resource: Json, wanted: list[str]) -> None:
    answer = post(client, parameters(context("patient", patient()), record(resource)))
    assert codes(answer, "medicines") == wanted
    assert origins(answer, "medicines") == ([f"{resource['resourceType']}/r1"] if wanted else [])


@pytest.mark.parametrize("contained", [True, False])
def test_a_medicine_by_reference(client: FlaskClient, contained: bool) -> None:
    reference = {"reference": "#m1" if contained else "Medication/m1"}
    resource = {**request_for("r1", {}), **({"contained": [MEDICATION]} if contained else {})}
    resource = {name: value for name, value in resource.items() if name != "medicationCodeableConcept"}
    others = [] if contained else [MEDICATION]
    sent = record({**resource, "medicationReference": reference}, *others)
    answer = post(client, parameters(context("patient", patient()), sent))
    assert (codes(answer, "medicines"), origins(answer, "medicines")) == (["H02"], ["MedicationRequest/r1"])


def test_each_medicine_names_its_own_origin(client: FlaskClient) -> None:
    sent = record(
        request_for("water", concept(ATC, "C03CA01", text="Furosemide 40 mg")),
        request_for("aspirin", concept(RXNORM, "1191")),
        statement_for("steroid", concept(RXNORM, "8640")),
    )
    answer = post(client, parameters(context("patient", patient()), sent))
    assert codes(answer, "medicines") == ["C03", "H02"]
    assert origins(answer, "medicines") == ["MedicationRequest/water", "MedicationStatement/steroid"]
    first = next(extensions(item(part(answer, "response"), "medicines"), ANSWER_SOURCE))
    assert first["valueReference"]["display"] == "Furosemide 40 mg"


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (condition("c1", concept(SCT, "86044005")), ["86044005"]),
        (condition("c1", concept(SCT, "73589001"), None), ["73589001"]),
        (condition("c1", concept(ICD10, "G12.21")), ["86044005"]),
        (condition("c1", concept(ICD10, "G71.01")), ["73297009"]),
        (condition("c1", concept(ICD10, "G72.9"), "active", "confirmed"), ["129565002"]),
        (condition("c1", concept(ICD10, "R25.3")), []),
        (condition("c1", concept(SCT, "86044005"), "resolved"), []),
        (condition("c1", concept(SCT, "86044005"), "active", "refuted"), []),
        (condition("c1", concept(SCT, "86044005"), None, "entered-in-error"), []),
        (condition("c1", concept(SCT, "86044005"), "active", "differential"), []),
    ],
)
def test_diagnosed_conditions(client: FlaskClient, resource: Json, wanted: list[str]) -> None:
    answer = post(client, parameters(context("patient", patient()), record(resource)))
    assert codes(answer, "diagnosed-condition") == wanted
    assert origins(answer, "diagnosed-condition") == (["Condition/c1"] if wanted else [])


def test_nothing_known_is_never_a_no(client: FlaskClient) -> None:
    answer = post(client, parameters(context("patient", patient())))
    response = part(answer, "response")
    assert all("answer" not in item(response, one) for one in ("pregnant", "medicines", "diagnosed-condition"))
    assert {detail(issue) for issue in part(answer, "issues")["issue"]} == {"data-not-at-hand"}
    assert {issue["severity"] for issue in part(answer, "issues")["issue"]} == {"warning"}


def test_the_response_is_a_draft_that_the_service_takes(client: FlaskClient, page: Pack) -> None:
    answer = post(
        client,
        parameters(
            context("patient", patient(birthDate="1980-05-17")), record(request_for("r1", concept(ATC, "C03CA01")))
        ),
    )
    response = part(answer, "response")
    assert (response["status"], response["questionnaire"], response["subject"]) == (
        "in-progress",
        page.canonical,
        SUBJECT,
    )
    verdict = post(client, response, "/fhir/QuestionnaireResponse/$validate")
    assert [issue for issue in issues_of(verdict) if issue["severity"] == "error"] == []
    assert post(client, response, "/fhir/QuestionnaireResponse").status_code == 201


def test_answers_that_are_there_stay(client: FlaskClient) -> None:
    sent = parameters(
        context("patient", patient(birthDate="1980-05-17")), record(request_for("r1", concept(ATC, "C03CA01")))
    )
    draft = part(post(client, sent), "response")
    steroid = {"valueCoding": {"system": ATC, "code": "H02", "display": "Corticosteroid"}}
    answer_with(draft, "medicines", steroid)
    again = post(client, {**sent, "parameter": [*sent["parameter"], {"name": "response", "resource": draft}]})
    assert codes(again, "medicines") == ["H02"]


# ---- the ways of naming a Questionnaire, and of sending data

INLINE: Json = {
    "resourceType": "Questionnaire",
    "status": "active",
    "extension": [
        {
            "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext",
            "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
        }
    ],
    "item": [
        {
            "linkId": "born",
            "type": "date",
            "extension": [
                {
                    "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression",
                    "valueExpression": {"language": "text/fhirpath", "expression": "%patient.birthDate"},
                }
            ],
        }
    ],
}


def _with_query(text: str) -> Json:
    source = {"name": "x", "language": "application/x-fhir-query", "expression": text}
    variable = {"url": "http://hl7.org/fhir/StructureDefinition/variable", "valueExpression": source}
    return {**INLINE, "extension": [*INLINE["extension"], variable]}


@pytest.mark.parametrize("name", ["context", "launchContext"])
def test_an_inline_questionnaire_and_the_older_name_of_a_context(client: FlaskClient, name: str) -> None:
    sent = {**context("patient", patient(birthDate="1980-05-17")), "name": name}
    answer = post(
        client, parameters({"name": "questionnaire", "resource": INLINE}, sent), "/fhir/Questionnaire/$populate"
    )
    assert item(part(answer, "response"), "born")["answer"] == [{"valueDate": "1980-05-17"}]
    assert part(answer, "issues") == {}


@pytest.mark.parametrize(
    "named",
    [
        {"name": "canonical", "valueCanonical": "URL"},
        {"name": "questionnaire", "valueUri": "URL"},
        {"name": "questionnaireRef", "valueReference": {"reference": "URL"}},
    ],
)
def test_a_published_questionnaire_by_canonical(client: FlaskClient, page: Pack, named: Json) -> None:
    body = json.loads(json.dumps(parameters(named)).replace("URL", page.canonical))
    assert part(post(client, body, "/fhir/Questionnaire/$populate"), "response")["questionnaire"] == page.canonical


def test_the_subject_is_the_patient_of_the_launch_context(client: FlaskClient) -> None:
    answer = post(client, parameters(context("patient", patient()), subject=None))
    assert part(answer, "response")["subject"] == SUBJECT


# ---- a FHIR server


def test_data_from_the_server_when_it_may_be_asked(with_server: Callable[[FakeServer], FlaskClient]) -> None:
    server = FakeServer(
        {
            "Patient?": bundle(patient(birthDate="1980-05-17")),
            "MedicationRequest?": bundle(
                request_for("r1", concept(ATC, "C03CA01")), following=f"{FakeServer.base_url}?page=2"
            ),
            "?page=2": bundle(request_for("r2", concept(ATC, "H02AB07"))),
            "MedicationStatement?": bundle(),
            "Condition?": bundle(condition("c1", concept(SCT, "86044005"))),
            "Observation?": bundle(),
        }
    )
    body = parameters({"name": "local", "valueBoolean": True})
    answer = post(with_server(server), body)
    assert codes(answer, "age-16-or-over") == [YES]
    assert (codes(answer, "medicines"), origins(answer, "medicines")) == (
        ["C03", "H02"],
        ["MedicationRequest/r1", "MedicationRequest/r2"],
    )
    assert codes(answer, "diagnosed-condition") == ["86044005"]
    assert part(answer, "issues") == {}
    assert server.asked[:3] == [
        "Patient?_id=1",
        "MedicationRequest?patient=1&status=active&_include=MedicationRequest:medication",
        "?page=2",
    ]


@pytest.mark.parametrize(
    "subject", ["https://other.example/fhir/Patient/1", "urn:uuid:9f86d081-884c-4d63-a1a2-0a9f1f3a7e11"]
)
def test_the_server_is_not_asked_about_a_patient_of_another(
    with_server: Callable[[FakeServer], FlaskClient], subject: str
) -> None:
    server = FakeServer({})
    sent = (context("patient", patient()), {"name": "local", "valueBoolean": True})
    answer = post(with_server(server), parameters(*sent, subject={"reference": subject}))
    assert (answer.status_code, server.asked) == (200, [])
    assert "was not asked" in part(answer, "issues")["issue"][0]["details"]["text"]


def test_the_server_is_not_asked_unless_the_call_says_so(with_server: Callable[[FakeServer], FlaskClient]) -> None:
    server = FakeServer({})
    post(with_server(server), parameters(context("patient", patient())))
    post(with_server(server), parameters(context("patient", patient()), {"name": "local", "valueBoolean": False}))
    assert server.asked == []


def test_a_context_by_reference_is_read_from_the_server_alone(with_server: Callable[[FakeServer], FlaskClient]) -> None:
    server = FakeServer({"Patient?_id=1": bundle(patient(birthDate="1980-05-17"))})
    ask = with_server(server)
    for reference in ("Patient/1", f"{FakeServer.base_url}/Patient/1"):
        assert codes(post(ask, parameters(context("patient", {"reference": reference}))), "age-16-or-over") == [YES]
    answer = post(ask, parameters(context("patient", {"reference": "https://elsewhere.example/Patient/1"})))
    assert codes(answer, "age-16-or-over") == []
    assert server.asked == ["Patient?_id=1", "Patient?_id=1"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"": None}, "did not answer"),
        ({}, "HTTP 404"),
        ({"": bundle(following="https://elsewhere.example/fhir?page=2")}, "another address"),
        ({"": bundle(following=f"{FakeServer.base_url}?again")}, "10 pages"),
        ({"": bundle({"resourceType": "Condition", "nonsense": 1})}, "not FHIR R4"),
    ],
)
def test_a_server_that_fails_is_a_warning_and_the_rest_is_populated(
    with_server: Callable[[FakeServer], FlaskClient], answers: Mapping[str, Json | None], reason: str
) -> None:
    body = parameters(context("patient", patient(birthDate="1980-05-17")), {"name": "local", "valueBoolean": True})
    answer = post(with_server(FakeServer(answers)), body)
    assert codes(answer, "age-16-or-over") == [YES]
    issues = part(answer, "issues")["issue"]
    assert {issue["severity"] for issue in issues} == {"warning"}
    assert all(reason in issue["diagnostics"] or "was sent along" in issue["diagnostics"] for issue in issues)


@pytest.mark.parametrize(
    ("query", "is_asked"),
    [
        ("Condition?patient={{%patient.id}}", True),
        ("Observation?subject=Patient/{{%patient.id}}", True),
        ("Patient?_id={{%patient.id}}", True),
        ("Patient/{{%patient.id}}", True),
        ("Patient?name=a", False),
        ("Condition?patient=2", False),
        ("Condition?patient={{%patient.id}},2", False),
        ("Condition?code=x", False),
        ("Condition?patient={{%patient.id}}&_revinclude=Provenance:target", False),
        ("Condition?patient={{%patient.id}}&%5Frevinclude=Provenance:target", False),
        ("Condition?patient={{%patient.id}}&patient=2", False),
        ("Observation?_id={{%patient.id}}", False),
        ("Patient?_id={{%patient.id}}&_revinclude=Observation:subject", False),
    ],
)
def test_a_questionnaire_sent_along_reads_its_subject_alone(
    with_server: Callable[[FakeServer], FlaskClient], query: str, is_asked: bool
) -> None:
    server = FakeServer({"": bundle()})
    inline = {"name": "questionnaire", "resource": _with_query(query)}
    body = parameters(inline, context("patient", patient()), {"name": "local", "valueBoolean": True})
    part(post(with_server(server), body, "/fhir/Questionnaire/$populate"), "response")
    assert (len(server.asked) == 1) is is_asked


# ---- bad input


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (parameters(), 422),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Parameters", "parameter": "x"}, 400),
        (parameters({"name": "canonical", "valueCanonical": "urn:unknown"}), 404),
        (parameters({"name": "questionnaire", "resource": patient()}), 400),
        (parameters({"name": "questionnaire", "resource": INLINE}, {"name": "canonical", "valueUri": "urn:x"}), 400),
        (parameters({"name": "questionnaire", "resource": INLINE}, {"name": "local", "valueString": "true"}), 400),
        (parameters({"name": "questionnaire", "resource": INLINE}, {"name": "context"}), 400),
        (parameters({"name": "questionnaire", "resource": INLINE}, context("patient", patient(nonsense=1))), 400),
        (parameters({"name": "questionnaire", "resource": INLINE}, context("patient", patient(id="2"))), 422),
        (
            parameters({"name": "questionnaire", "resource": INLINE}, context("patient", patient(), patient(id="2"))),
            422,
        ),
        (
            parameters(
                {"name": "questionnaire", "resource": INLINE},
                context("patient", condition("2", concept(SCT, "86044005"))),
            ),
            422,
        ),
        (parameters({"name": "dataEndpoint", "valueUri": "https://elsewhere.example"}), 422),
        (parameters({"name": "identifier", "valueIdentifier": {"value": "x"}}), 422),
        (parameters({"name": "questionnaire", "resource": INLINE}, subject={"display": "Jane"}), 400),
    ],
)
def test_bad_input(client: FlaskClient, body: Json, status: int) -> None:
    answer = post(client, body, "/fhir/Questionnaire/$populate")
    assert answer.status_code == status
    assert all(issue["severity"] == "error" for issue in issues_of(answer))


def test_a_page_that_is_not_there(client: FlaskClient) -> None:
    assert post(client, parameters(), "/fhir/Questionnaire/nothing/$populate").status_code == 404


def test_a_parameter_that_is_not_known_is_a_warning(client: FlaskClient) -> None:
    answer = post(client, parameters(context("patient", patient()), {"name": "manifest", "valueString": "x"}))
    assert any(issue["expression"] == ["Parameters.parameter[2]"] for issue in part(answer, "issues")["issue"])


# ---- the package


@pytest.mark.parametrize(
    "path",
    [
        f"{PAGE}/$questionnaire-package",
        "/fhir/Questionnaire/$questionnaire-package?url=URL",
        "/fhir/Questionnaire/$questionnaire-package?url=URL&version=VERSION",
    ],
)
def test_the_package_is_the_questionnaire_and_all_it_needs(client: FlaskClient, page: Pack, path: str) -> None:
    answer = client.get(path.replace("URL", page.url).replace("VERSION", page.version))
    assert answer.status_code == 200
    assert (answer.json["resourceType"], answer.json["type"]) == ("Bundle", "collection")
    assert model_issues(answer.json) == []
    resources = [entry["resource"] for entry in answer.json["entry"]]
    assert (resources[0]["resourceType"], resources[0]["id"]) == ("Questionnaire", page.name)
    found = sorted((one["resourceType"], one["id"]) for one in resources)
    assert found == sorted((one["resourceType"], one["id"]) for one in page.artifacts)
    for entry in answer.json["entry"]:
        assert client.get(entry["fullUrl"].partition("localhost")[2]).json == entry["resource"]


def test_a_package_may_be_asked_for_by_post(client: FlaskClient, page: Pack) -> None:
    path = "/fhir/Questionnaire/$questionnaire-package"
    named = [{"name": "url", "valueCanonical": page.url}, {"name": "version", "valueString": page.version}]
    asked = post(client, parameters(*named, subject=None), path)
    assert (
        asked.json
        == client.get(f"{path}?url={page.url}").json
        == post(client, {}, f"{PAGE}/$questionnaire-package").json
    )
    assert [post(client, body, path).status_code for body in (parameters(), page.artifacts[0])] == [400, 400]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?url=urn:unknown", 404),
        ("?url=URL&version=0", 404),
        ("?url=URL|1&version=2", 400),
        ("?url=URL&x=1", 400),
    ],
)
def test_a_package_that_is_not_there(client: FlaskClient, page: Pack, query: str, status: int) -> None:
    answer = client.get(f"/fhir/Questionnaire/$questionnaire-package{query.replace('URL', page.url)}")
    assert answer.status_code == status
    assert issues_of(answer)


def test_the_capability_statement_names_the_operations(client: FlaskClient) -> None:
    resources = client.get("/fhir/metadata").json["rest"][0]["resource"]
    (questionnaire,) = [one for one in resources if one["type"] == "Questionnaire"]
    assert {one["name"] for one in questionnaire["operation"]} == {"populate", "questionnaire-package"}
    own = questionnaire["operation"][1]["definition"].rpartition("/")[2]
    assert client.get(f"/fhir/OperationDefinition/{own}").json["code"] == "questionnaire-package"
