"""Content negotiation and preferences of FHIR."""

import pytest
from flask import Request
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType
from werkzeug.test import EnvironBuilder

from service.errors import Malformed
from service.web.content import (
    Return,
    answer_type,
    body_resource,
    fhir_answer,
    idempotency_key,
    preferences,
)


def _request(path: str = "/fhir/metadata", headers: dict[str, str] | None = None, body: bytes = b"") -> Request:
    content_type = (headers or {}).pop("Content-Type", None)
    builder = EnvironBuilder(path=path, method="POST", headers=headers, data=body, content_type=content_type)
    return builder.get_request(Request)


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/fhir+json"),
        ("*/*", "application/fhir+json"),
        ("application/fhir+json; fhirVersion=4.0", "application/fhir+json"),
        ("application/json", "application/json"),
        ("application/json, application/fhir+json;q=0.5", "application/fhir+json"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/fhir+json"),
        ("application/fhir+xml;q=1, application/json;q=0.1", "application/json"),
    ],
)
def test_json_is_answered_to_whoever_takes_it(accept: str, answered: str) -> None:
    assert answer_type(_request(headers={"Accept": accept})) == answered


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "text/html",
        "application/fhir+json;q=0",
        "application/fhir+json; fhirVersion=3.0",
        "application/fhir+json; q=high",
    ],
)
def test_whoever_takes_no_r4_json_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        answer_type(_request(headers={"Accept": accept}))


@pytest.mark.parametrize("wanted", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json"])
def test_format_stands_over_accept(wanted: str) -> None:
    answered = answer_type(_request(f"/fhir/metadata?_format={wanted}", {"Accept": "application/fhir+xml"}))
    assert answered in ("application/fhir+json", "application/json")


@pytest.mark.parametrize("wanted", ["xml", "application/fhir+xml", "ttl", "html"])
def test_other_formats_are_refused(wanted: str) -> None:
    with pytest.raises(NotAcceptable):
        answer_type(_request(f"/fhir/metadata?_format={wanted}", {"Accept": "application/fhir+json"}))


def test_pretty_answers_are_indented() -> None:
    resource = {"resourceType": "Basic", "id": "é"}
    assert fhir_answer(_request(), resource).get_data() == '{"resourceType":"Basic","id":"é"}'.encode()
    pretty = fhir_answer(_request("/fhir/Basic/1?_pretty=true"), resource).get_data(as_text=True)
    assert pretty.splitlines() == ["{", '  "resourceType": "Basic",', '  "id": "é"', "}"]


@pytest.mark.parametrize(
    ("header", "returning", "strict"),
    [
        ("return=minimal", Return.MINIMAL, False),
        ("return=representation", Return.REPRESENTATION, False),
        ("return=OperationOutcome", Return.OPERATION_OUTCOME, False),
        ('return="minimal", handling=strict', Return.MINIMAL, True),
        ("handling=lenient; return=minimal", Return.MINIMAL, False),
        ("respond-async, return=everything", Return.REPRESENTATION, False),
    ],
)
def test_preferences(header: str, returning: Return, strict: bool) -> None:
    found = preferences(_request(headers={"Prefer": header}))
    assert (found.returning, found.strict) == (returning, strict)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/fhir+xml"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/fhir+json; fhirVersion=5.0"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_bodies_that_are_not_r4_json_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        body_resource(_request(headers=dict(headers), body=b'{"resourceType":"Basic"}'))


@pytest.mark.parametrize("content_type", ["application/fhir+json", "application/json; charset=UTF-8", "text/json"])
def test_json_bodies_are_read(content_type: str) -> None:
    assert body_resource(_request(headers={"Content-Type": content_type}, body=b'{"a":1}')) == {"a": 1}


def test_an_empty_body_is_malformed() -> None:
    with pytest.raises(Malformed, match="no body"):
        body_resource(_request(headers={"Content-Type": "application/json"}, body=b" \n"))


def test_idempotency_keys() -> None:
    assert idempotency_key(_request()) is None
    assert idempotency_key(_request(headers={"Idempotency-Key": '"8e03978e"'})) == "8e03978e"
    for unusable in ("", "x" * 256):
        with pytest.raises(Malformed):
            idempotency_key(_request(headers={"Idempotency-Key": unusable}))
