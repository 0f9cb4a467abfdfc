"""Which page a canonical stands for."""

from dataclasses import replace

import pytest

from service.packs import Pack, load_pack, shipped_pages
from service.records.library import Library, version_order
from service.records.ports import RememberedPack

PAGE = load_pack(shipped_pages() / "muscle-fasciculation")


def _version(version: str, status: str = "active") -> Pack:
    definition = {**PAGE.questionnaire.definition, "version": version, "status": status}
    return replace(PAGE, questionnaire=replace(PAGE.questionnaire, definition=definition, status=status))


@pytest.mark.parametrize(
    ("canonical", "version"),
    [
        (PAGE.url, "1.10.0"),
        (f"{PAGE.url}|1.9.0", "1.9.0"),
        (f"{PAGE.url}|2.0.0", "2.0.0"),
        (f"{PAGE.url}|0.9", "0.9"),
        (f"{PAGE.url}|3.0.0", None),
        ("https://elsewhere.example/q", None),
        ("", None),
    ],
)
def test_a_canonical_finds_its_version_or_the_newest_active_one(canonical: str, version: str | None) -> None:
    published = (_version("1.9.0"), _version("1.10.0"), _version("2.0.0", "draft"))
    found = Library(published, (_version("0.9"), _version("1.11.0"))).resolve(canonical)
    assert (None if found is None else found.version) == version


def test_a_page_no_longer_published_is_still_found() -> None:
    library = Library((), (_version("1.0.0"), _version("1.1.0")))
    found = library.resolve(PAGE.url)
    assert found is not None
    assert found.version == "1.1.0"


def test_earlier_versions_are_compiled_from_what_was_remembered(caplog: pytest.LogCaptureFixture) -> None:
    def memory(version: str, *, broken: bool = False) -> RememberedPack:
        artifacts = [
            {**artifact, "version": version} if artifact["resourceType"] == "Questionnaire" else artifact
            for artifact in PAGE.artifacts
        ]
        return RememberedPack(PAGE.name, PAGE.url, version, tuple(artifacts[:1] if broken else artifacts))

    library = Library.of([PAGE], [memory(PAGE.version), memory("0.8.0"), memory("0.7.0", broken=True)])
    assert [pack.version for pack in library.earlier] == ["0.8.0"]
    assert f"{PAGE.url}|0.7.0" in caplog.text


def test_a_version_that_a_stricter_gate_would_refuse_is_still_found() -> None:
    changed = {"version": "0.9.0", "status": "bogus"}
    artifacts = tuple(
        {**artifact, **changed} if artifact["resourceType"] == "Questionnaire" else artifact
        for artifact in PAGE.artifacts
    )
    library = Library.of([PAGE], [RememberedPack(PAGE.name, PAGE.url, "0.9.0", artifacts)])
    assert library.resolve(f"{PAGE.url}|0.9.0") is not None


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["1.10", "1.9", "1.9.1", "2.0.0", "0.1"]
    assert sorted(versions, key=version_order) == ["0.1", "1.9", "1.9.1", "1.10", "2.0.0"]
