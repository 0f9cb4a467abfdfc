"""Where queries of a population are answered: limits towards a server, and what sent resources can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from service.records.clinical_data import (
    MAX_PAGES,
    MAX_QUERIES,
    MAX_RESOURCES,
    MAX_SECONDS,
    AllData,
    SentData,
    ServerData,
    read_reference,
)
from service.records.ports import Answer
from service.sdc.queries import DataUnavailable

Json = dict[str, Any]
BASE = "https://ehr.example/fhir"


class Server:
    """Answers one Bundle after another, the last one for ever; each answer takes `seconds`."""

    base_url = BASE

    def __init__(self, *bundles: Json, seconds: float = 0) -> None:
        self.bundles = list(bundles)
        self.seconds = seconds
        self.now = 0.0
        self.paths: list[str] = []

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        self.paths.append(path)
        self.now += self.seconds
        return Answer(200, {}, self.bundles.pop(0) if len(self.bundles) > 1 else self.bundles[0])


def bundle(*resources: Json, following: str | None = None) -> Json:
    links = [{"relation": "next", "url": following}] if following else []
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": one} for one in resources],
        "link": links,
    }


def patient(identity: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": identity, **more}


def data(server: Server) -> ServerData:
    return ServerData(server, lambda: server.now)


def ids(found: Sequence[Json]) -> list[str]:
    return [one["id"] for one in found]


# ---- a server


@pytest.mark.parametrize(("url", "path"), [(f"{BASE}?page=2", "?page=2"), (f"{BASE}/Patient?page=2", "Patient?page=2")])
def test_pages_are_followed_below_the_servers_own_address(url: str, path: str) -> None:
    server = Server(bundle(patient("1"), following=url), bundle(patient("2")))
    assert ids(data(server).search("Patient?x=1")) == ["1", "2"]
    assert server.paths == ["Patient?x=1", path]


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/fhir?page=2", f"{BASE}.elsewhere.example/?page=2", "?page=2"]
)
def test_another_address_is_never_asked(url: str) -> None:
    server = Server(bundle(following=url))
    with pytest.raises(DataUnavailable):
        data(server).search("Patient?x=1")
    assert server.paths == ["Patient?x=1"]


def test_pages_without_end_are_given_up() -> None:
    server = Server(bundle(following=f"{BASE}?again"))
    with pytest.raises(DataUnavailable):
        data(server).search("Patient?x=1")
    assert len(server.paths) == MAX_PAGES


def test_too_many_resources_are_given_up() -> None:
    many = [patient(str(number)) for number in range(MAX_RESOURCES + 1)]
    server = Server(bundle(*many, following=f"{BASE}?again"))
    with pytest.raises(DataUnavailable):
        data(server).search("Patient?x=1")
    assert len(server.paths) == 1


def test_a_population_asks_so_many_queries_and_no_more() -> None:
    server = Server(bundle())
    asked = data(server)
    for _ in range(MAX_QUERIES):
        assert asked.search("Patient?x=1") == []
    with pytest.raises(DataUnavailable):
        asked.search("Patient?x=1")
    assert len(server.paths) == MAX_QUERIES


def test_a_population_waits_so_long_and_no_longer() -> None:
    server = Server(bundle(), seconds=MAX_SECONDS / 2 + 1)
    asked = data(server)
    for _ in range(2):
        asked.search("Patient?x=1")
    with pytest.raises(DataUnavailable):
        asked.search("Patient?x=1")


def test_a_reference_is_found_by_its_id_alone() -> None:
    server = Server(bundle(patient("2"), patient("1")))
    assert read_reference(data(server), "Patient/1") == patient("1")
    assert read_reference(data(server), "Patient/3") is None


# ---- resources that were sent

CONDITION: Json = {
    "resourceType": "Condition",
    "id": "c",
    "subject": {"reference": "Patient/1"},
    "code": {"coding": [{"system": "urn:x", "code": "a,b|c"}]},
    "clinicalStatus": {"coding": [{"code": "active"}]},
}


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("Condition?patient=1", True),
        ("Condition?patient=Patient/1", True),
        ("Condition?subject=Patient%2F1", True),
        ("Condition?patient=2", False),
        ("Condition?patient=11", False),
        ("Condition?code=urn:x%7Ca%5C%2Cb%5C%7Cc", True),
        ("Condition?code=urn:y%7Ca%5C%2Cb%5C%7Cc", False),
        ("Condition?code=other,a%5C%2Cb%5C%7Cc", True),
        ("Condition?code=a,b", False),
        ("Condition?clinical-status=active&_sort=-date&_count=1", True),
        ("Condition?clinical-status=resolved", False),
        ("Condition?_id=c", True),
        ("Condition/c", True),
        ("Condition/d", False),
    ],
)
def test_what_was_sent_is_searched(query: str, is_found: bool) -> None:
    assert list(SentData((CONDITION, patient("1"))).search(query)) == ([CONDITION] if is_found else [])


@pytest.mark.parametrize("query", ["Observation?patient=1", "Condition?onset-date=2026", "Condition?code:not=a"])
def test_what_cannot_be_told_is_not_taken_for_nothing(query: str) -> None:
    with pytest.raises(DataUnavailable):
        SentData((CONDITION,)).search(query)


def test_several_places_are_one_record() -> None:
    newer = {**CONDITION, "id": "d"}
    both = AllData((SentData((CONDITION,)), SentData((CONDITION, newer)), SentData(())))
    assert ids(both.search("Condition?patient=1")) == ["c", "d"]
    with pytest.raises(DataUnavailable):
        both.search("Observation?patient=1")
