"""A FHIR server that is away, busy, forbidding, broken, or whose answers are lost: nothing is lost, nothing doubled."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.faults.proxy import Answer, FaultProxy, Request, transactions
from tests.hapi.cases import CASE, ONE_RECORD, response_to
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import Service, eventually

ALWAYS = 100_000
# One of them failed, and that for a while only.
FAILED_ENTRIES: list[Json] = [
    {"response": {"status": "503 Service Unavailable"}},
    *({"response": {"status": "201 Created", "location": "Observation/1"}} for _ in range(18)),
]
REFUSED: Json = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "processing", "diagnostics": "This server is being mended"}],
}


@pytest.fixture(autouse=True)
def started(service: Service) -> None:
    service.start()


def submit(service: Service, patient: SyntheticPatient) -> str:
    """Post the case about `patient`; the id of the response accepted."""
    accepted = service.fhir.request("POST", "QuestionnaireResponse", response_to(CASE, patient.reference))
    assert accepted.status_code == 201
    return str(accepted.json()["id"])


def assert_one_of_each(fhir: FhirClient, patient: SyntheticPatient) -> None:
    record = Record.of(fhir, patient.reference)
    assert Counter(one["resourceType"] for one in record.all) == ONE_RECORD
    assert record.versions == {"1"}


def sent_bundles(proxy: FaultProxy) -> list[bytes]:
    return [one.request.body for one in proxy.exchanges if transactions(one.request)]


def test_an_answer_that_breaks_off_is_asked_for_again_with_the_same_bundle(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.cut(transactions, after_bytes=400)

    submit(service, patient)
    service.await_outbox(delivered=1)

    first, second = sent_bundles(server_proxy)
    assert first == second
    assert_one_of_each(fhir, patient)


@pytest.mark.parametrize(
    "told",
    [
        Answer.of_json(500, REFUSED),
        Answer.of_json(409, REFUSED),
        Answer(200, b"<html>Please sign in</html>", {"Content-Type": "text/html"}),
        Answer.of_json(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": []}),
        Answer.of_json(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": FAILED_ENTRIES}),
        Answer(200, b"\x00\xff{]", {"Content-Type": "application/fhir+json"}),
    ],
    ids=["500", "409", "200 of a portal", "200 without entries", "200 with failed entries", "200 with garbage"],
)
def test_a_failure_told_after_the_server_did_its_work_doubles_nothing(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, told: Answer
) -> None:
    server_proxy.replace(told, transactions)

    submit(service, patient)
    service.await_outbox(delivered=1)

    assert len(sent_bundles(server_proxy)) == 2
    assert_one_of_each(fhir, patient)


def test_a_server_that_answers_too_late_has_its_answer_asked_for_again(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    late = server_proxy.hold(transactions)

    submit(service, patient)
    late.await_arrival()
    service.await_outbox(delivered=1)
    late.release()

    assert_one_of_each(fhir, patient)


def test_a_server_that_was_down_gets_everything_when_it_is_up_again(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.stop()

    submit(service, patient)
    reasons = eventually(service.reasons)
    assert "deliveries that wait: 1" in reasons
    assert "cannot be reached" in reasons
    # Responses are accepted all the same, so the service is ready.
    assert service.ready()[0] == 200
    assert Record.of(fhir, patient.reference).all == []

    server_proxy.start()
    service.await_outbox(delivered=1)
    assert service.reasons() == ""
    assert_one_of_each(fhir, patient)


def test_a_refusal_is_a_dead_letter_that_everybody_sees_and_a_command_revives(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.answer(Answer.of_json(400, REFUSED), transactions)

    response_id = submit(service, patient)
    service.await_outbox(dead=1)

    line = service.outbox_line(response_id)
    assert (line.state, line.attempts, line.problem) == ("dead", 1, "refused (400)")
    letter = service.letter(line.id)
    assert letter["response"] == f"QuestionnaireResponse/{response_id}"
    assert letter["outcome"] == REFUSED
    assert "This server is being mended" in letter["problem"]["text"]
    assert letter["locations"] == []
    status, body = service.ready()
    (check,) = [one for one in body["checks"] if one["status"] != "pass"]
    assert (status, body["status"], check["name"], check["status"]) == (200, "warn", "dead-letters", "warn")
    assert "outbox list --state dead" in check["reason"]
    assert service.metric("outbox_dead_letters") == {f'reason="refused",target="{server_proxy.base_url}"': 1}
    assert Record.of(fhir, patient.reference).all == []

    service.command("outbox", "retry", str(line.id))
    service.await_outbox(delivered=1)
    assert service.reasons() == ""
    assert_one_of_each(fhir, patient)


def test_a_dead_letter_keeps_nobody_else_waiting(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.answer(Answer.of_json(422, REFUSED), transactions)

    submit(service, patient)
    service.await_outbox(dead=1)
    submit(service, patient)
    service.await_outbox(dead=1, delivered=1)

    assert_one_of_each(fhir, patient)


def test_refused_credentials_pause_the_target_until_it_accepts_them_again(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.answer(Answer.of_json(401, REFUSED), times=ALWAYS)

    for _ in range(2):
        submit(service, patient)
    reasons = eventually(service.reasons)
    assert "HTTP 401" in reasons
    assert server_proxy.base_url in reasons
    ready, body = service.ready()
    assert (ready, body["status"]) == (503, "fail")
    service.await_outbox(pending=2)
    assert service.metric("target_held") == {f'target="{server_proxy.base_url}"': 1}
    # Accepted all the same, and in our own record: only the way to the server is closed.
    assert len(Record.of(service.fhir, patient.reference).responses) == 2

    server_proxy.clear()
    service.await_outbox(delivered=2)
    assert service.ready() == (200, {"status": "pass", "checks": [{"name": "database", "status": "pass"}]})
    assert len(Record.of(fhir, patient.reference).all) == 2 * ONE_RECORD.total()


def test_a_server_is_left_alone_as_long_as_it_asks(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    before = datetime.now(UTC)
    server_proxy.answer(Answer.of_json(503, REFUSED, Retry_After="1800"), transactions)

    response_id = submit(service, patient)
    assert "deliveries that wait: 1" in eventually(service.reasons)

    listed = service.command("outbox", "list")
    until = datetime.fromisoformat(re.findall(r"held until (\S+Z)\.", listed)[0])
    assert timedelta(seconds=1799) < until - before < timedelta(seconds=2100)
    assert len(sent_bundles(server_proxy)) == 1
    (letter_id,) = re.findall(rf"^(\d+) +pending +0 +{response_id} ", listed, re.MULTILINE)

    service.command("outbox", "retry", letter_id)
    service.await_outbox(delivered=1)
    assert_one_of_each(fhir, patient)


def test_a_short_wait_asked_for_ends_by_itself(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.answer(Answer.of_json(429, REFUSED, Retry_After="1"), transactions, times=2)

    submit(service, patient)
    service.await_outbox(delivered=1)

    assert len(sent_bundles(server_proxy)) == 3
    assert_one_of_each(fhir, patient)


@pytest.mark.parametrize(
    "told",
    [
        Answer(404, b"<html>Not found</html>", {"Content-Type": "text/html"}),
        Answer(200, b"<html>Please sign in</html>", {"Content-Type": "text/html"}),
    ],
    ids=["404", "portal"],
)
def test_an_address_without_a_fhir_server_is_paused_and_blames_no_response(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, told: Answer
) -> None:
    server_proxy.answer(told, times=ALWAYS)

    submit(service, patient)
    assert "No FHIR server answers" in eventually(service.reasons)
    assert service.ready()[0] == 503
    service.await_outbox(pending=1)

    server_proxy.clear()
    service.await_outbox(delivered=1)
    assert_one_of_each(fhir, patient)


def test_a_server_that_loses_its_way_between_two_deliveries_blames_no_response(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    submit(service, patient)
    service.await_outbox(delivered=1)

    server_proxy.answer(Answer(404, b"<html>Not found</html>", {"Content-Type": "text/html"}), times=ALWAYS)
    submit(service, patient)
    assert "No FHIR server answers" in eventually(service.reasons)
    service.await_outbox(delivered=1, pending=1)

    server_proxy.clear()
    service.await_outbox(delivered=2)
    assert len(Record.of(fhir, patient.reference).all) == 2 * ONE_RECORD.total()


def test_what_a_server_quotes_of_the_answers_reaches_the_operator_alone(
    service: Service, server_proxy: FaultProxy, patient: SyntheticPatient
) -> None:
    secret = f"quoted-{uuid4()}"
    issue = {"severity": "error", "code": "invalid", "diagnostics": f"Not a text: {secret}"}
    quoting = Answer.of_json(422, {"resourceType": "OperationOutcome", "issue": [issue]})
    server_proxy.answer(quoting, transactions)

    response_id = submit(service, patient)
    service.await_outbox(dead=1)

    assert secret in service.letter(service.outbox_line(response_id).id)["problem"]["text"]
    assert secret not in service.reasons()
    assert secret not in service.log.read_text()


def without_transaction(request: Request) -> bool:
    """Matches the question what the server can do."""
    return request.path.endswith("/metadata")


def test_a_server_without_transactions_gets_single_requests_with_the_same_identities(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    capabilities = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "interaction": [{"code": "batch"}]}],
    }
    server_proxy.answer(Answer.of_json(200, capabilities), without_transaction, times=ALWAYS)
    server_proxy.cut(lambda request: request.path.endswith("/Condition"))

    submit(service, patient)
    service.await_outbox(delivered=1)

    assert sent_bundles(server_proxy) == []
    posted = Counter(one.request.path for one in server_proxy.exchanges if one.request.method == "POST")
    # Twice all that went before the answer that was lost.
    assert posted["/fhir/Condition"] == 2
    assert_one_of_each(fhir, patient)
