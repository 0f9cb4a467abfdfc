"""A page in another language: when it is offered, what differs, and what never does."""

from __future__ import annotations

from copy import deepcopy

from service.fhir.json import Json
from service.packs import Pack, assemble_pack, load_pack, shipped_pages
from tests.translating import in_guillemets, translate
from tests.unit.packs.spoiling import PAGE

ENGLISH = load_pack(shipped_pages() / PAGE)


def page(*languages: str) -> Pack:
    artifacts: list[Json] = deepcopy(list(ENGLISH.artifacts))
    for language in languages:
        for artifact in artifacts:
            translate(artifact, language)
    return assemble_pack(ENGLISH.name, artifacts)


def test_a_page_is_offered_in_its_own_language_first_and_then_in_those_that_are_whole() -> None:
    assert page("fr", "es").languages == ("en", "es", "fr")


def test_a_page_is_not_offered_in_a_language_in_which_one_sentence_is_missing() -> None:
    artifacts = list(page("fr").artifacts)
    plan = next(one for one in artifacts if one["resourceType"] == "PlanDefinition")
    del plan["action"][0]["_textEquivalent"]
    incomplete = assemble_pack(ENGLISH.name, artifacts)
    assert "fr" not in incomplete.languages
    assert incomplete.in_language("fr") is incomplete


def test_a_page_says_everything_in_the_language_and_keeps_its_codes() -> None:
    original = page("fr")
    french = original.in_language("fr-CA")
    assert french.language == "fr"
    assert french.title == in_guillemets(ENGLISH.title)
    assert french.plan.rules[0].sentence == in_guillemets(ENGLISH.plan.rules[0].sentence)
    assert [level.display for level in french.plan.levels] == [
        in_guillemets(level.display) for level in ENGLISH.plan.levels
    ]
    for link_id, item in ENGLISH.questionnaire.by_link_id.items():
        other = french.questionnaire.by_link_id[link_id]
        assert other.text == in_guillemets(item.text)
        assert [option.key for option in other.options or ()] == [option.key for option in item.options or ()]


def test_what_is_extracted_and_proposed_is_that_of_the_page_itself() -> None:
    original = page("fr")
    french = original.in_language("fr")
    assert french.extraction is original.extraction
    assert french.population is original.population
    assert french.canonical == original.canonical


def test_a_page_is_itself_in_its_own_language_and_made_once_in_another() -> None:
    original = page("fr")
    assert original.in_language("en-GB") is original
    assert original.in_language("fr") is original.in_language("fr")
