"""Search requests and searchset Bundles."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from service.errors import Malformed
from service.web.publications import KNOWN_NAMES, Publications
from service.web.searching import Found, Mode, Result, SearchRequest, read_search, searchset

ADDRESS = "https://intake.example/fhir/Questionnaire"
BASE = "https://intake.example/fhir"


def _search(query: str, form: str = "", **headers: str) -> SearchRequest:
    options = {"method": "POST", "data": form, "content_type": "application/x-www-form-urlencoded"} if form else {}
    builder = EnvironBuilder(path="/fhir/X", query_string=query, headers=headers, **options)
    return read_search(builder.get_request(Request), {"subject", "patient", "name", "name:exact"})


def _page(*, total: int, count: int, offset: int = 0, ignored: tuple[str, ...] = ()) -> Result:
    resource = {"resourceType": "Questionnaire", "id": "a"}
    return Result(total, (Found(resource),), count, offset, ignored)


def _links(search: SearchRequest, result: Result) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in searchset(search, result, ADDRESS, BASE)["link"]}


def test_address_and_form_are_one_search_without_presentation() -> None:
    search = _search("name=a&_format=json&_pretty=true&_total=none", "subject=Patient/1&name=b&x=")
    assert search.pairs == (("name", "a"), ("subject", "Patient/1"), ("name", "b"))


def test_a_type_modifier_becomes_the_reference() -> None:
    assert _search("subject:Patient=1&subject:Patient=Patient/2").pairs == (
        ("subject", "Patient/1"),
        ("subject", "Patient/2"),
    )


@pytest.mark.parametrize("query", ["subject:identifier=x", "subject:missing=true", "name:above=x"])
def test_an_unknown_modifier_of_a_known_parameter_is_refused(query: str) -> None:
    with pytest.raises(Malformed, match="modifier"):
        _search(query)


def test_self_link_names_what_was_used_and_nothing_else() -> None:
    search = _search("name=a%26b&shoe=42&_count=5")
    links = _links(search, _page(total=1, count=5, ignored=("shoe",)))
    assert links == {"self": f"{ADDRESS}?name=a%26b&_count=5"}


def test_strict_handling_refuses_what_was_not_used() -> None:
    search = _search("shoe=42", Prefer="handling=strict")
    with pytest.raises(Malformed, match="shoe"):
        searchset(search, _page(total=1, count=5, ignored=("shoe",)), ADDRESS, BASE)


def test_pages_are_linked_in_both_directions() -> None:
    links = _links(_search("name=a"), _page(total=30, count=10, offset=10))
    assert links == {
        "self": f"{ADDRESS}?name=a&_count=10&_offset=10",
        "previous": f"{ADDRESS}?name=a&_count=10",
        "next": f"{ADDRESS}?name=a&_count=10&_offset=20",
    }


@pytest.mark.parametrize(("query", "count"), [("_summary=count", 10), ("name=a", 0)])
def test_a_count_has_no_entries(query: str, count: int) -> None:
    bundle = searchset(_search(query), _page(total=7, count=count), ADDRESS, BASE)
    assert bundle["total"] == 7
    assert "entry" not in bundle
    assert bundle["link"][0]["url"].endswith("_summary=count")


def test_entries_say_why_they_are_there() -> None:
    resources = ({"resourceType": "Observation", "id": "o"}, {"resourceType": "Provenance", "id": "p"})
    found = (Found(resources[0]), Found(resources[1], Mode.INCLUDE))
    bundle = searchset(_search("name=a"), Result(1, found, 10, 0, ()), ADDRESS, BASE)
    assert [(entry["fullUrl"], entry["search"]["mode"]) for entry in bundle["entry"]] == [
        (f"{BASE}/Observation/o", "match"),
        (f"{BASE}/Provenance/p", "include"),
    ]


PUBLISHED = Publications.of(
    {"resourceType": "Questionnaire", "id": id_, "url": f"https://x.example/{id_}", "version": version, "name": name,
     "title": title, "status": status, "date": date}
    for id_, version, name, title, status, date in (
        ("cough", "1.0", "Cough", "Husten und Grippe", "active", "2026-05-01"),
        ("fever", "2.0", "Fever", "Fièvre", "draft", "2026-04"),
        ("fever-2", "1.0", "FeverToo", "Fever too", "active", "2025"),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["cough", "fever", "fever-2"]),
        ("status=active", ["cough", "fever-2"]),
        ("status=active,draft&version=1.0", ["cough", "fever-2"]),
        ("name=fever", ["fever", "fever-2"]),
        ("name:exact=Fever", ["fever"]),
        ("title:contains=grippe", ["cough"]),
        ("title=fievre", ["fever"]),
        ("url=https://x.example/fever", ["fever"]),
        ("url=https://x.example/fever|2.0", ["fever"]),
        ("url=https://x.example/fever|3.0", []),
        ("_id=cough,fever", ["cough", "fever"]),
        ("_sort=_lastUpdated", ["fever-2", "fever", "cough"]),
        ("_sort=-_lastUpdated&_count=1&_offset=1", ["fever"]),
        ("shoe=42", ["cough", "fever", "fever-2"]),
    ],
)
def test_published_pages_are_found(query: str, ids: list[str]) -> None:
    builder = EnvironBuilder(path="/fhir/Questionnaire", query_string=query)
    result = PUBLISHED.search("Questionnaire", read_search(builder.get_request(Request), KNOWN_NAMES))
    assert [found.resource["id"] for found in result.found] == ids


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 12])
def test_a_page_size_is_a_whole_number(value: str) -> None:
    builder = EnvironBuilder(path="/fhir/Questionnaire", query_string=f"_count={value}")
    with pytest.raises(Malformed, match="_count"):
        PUBLISHED.search("Questionnaire", read_search(builder.get_request(Request), KNOWN_NAMES))


def test_a_published_resource_tells_its_version_and_date() -> None:
    resource = PUBLISHED.read("Questionnaire", "fever")
    assert resource is not None
    assert list(resource)[:3] == ["resourceType", "id", "meta"]
    assert resource["meta"]["lastUpdated"] == "2026-04-01T00:00:00.000Z"
    assert len(resource["meta"]["versionId"]) == 16
    assert PUBLISHED.read("Questionnaire", "nothing") is None
