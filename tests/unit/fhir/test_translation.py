"""Texts in other languages: what is found, what is replaced, and what is told to be missing."""

from __future__ import annotations

import pytest

from service.fhir.json import Json
from service.fhir.narrative import narrative_fault
from service.fhir.translation import TRANSLATION, languages, lookup, translated, untranslated


def in_other(**texts: str) -> Json:
    """The sibling of a text that holds its translations by language (`es_MX` for es-MX)."""
    return {
        "extension": [
            {
                "url": TRANSLATION,
                "extension": [
                    {"url": "lang", "valueCode": language.replace("_", "-")},
                    {"url": "content", "valueString": text},
                ],
            }
            for language, text in texts.items()
        ]
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("es", "es"), ("es-MX", "es"), ("ES", "es"), ("fr-CA", "fr-CA"), ("fr", None), ("zh-Hant-x-a", "zh-Hant")],
)
def test_a_language_is_served_by_the_same_or_the_next_wider(wanted: str, found: str | None) -> None:
    assert lookup(["es", "fr-CA", "zh-Hant"], wanted) == found


def test_a_text_is_replaced_by_its_translation_and_the_resource_says_its_language() -> None:
    resource = {
        "resourceType": "Questionnaire",
        "language": "en",
        "title": "Twitching",
        "_title": in_other(es="Temblores"),
        "item": [{"linkId": "1", "text": "Since when?", "_text": in_other(es="¿Desde cuándo?"), "type": "date"}],
    }
    spanish = translated(resource, "es-MX")
    assert spanish["language"] == "es-MX"
    assert spanish["title"] == "Temblores"
    assert spanish["item"][0]["text"] == "¿Desde cuándo?"
    assert resource["title"] == "Twitching"


def test_a_text_without_translation_stays_as_it_is() -> None:
    resource = {"resourceType": "Questionnaire", "title": "Twitching", "_title": in_other(fr="Tremblements")}
    assert translated(resource, "es")["title"] == "Twitching"


def test_the_narrative_says_that_it_is_in_another_language() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">Twitching</div>'
    resource = {"resourceType": "Questionnaire", "language": "en", "text": {"status": "generated", "div": div}}
    text = translated(resource, "es")["text"]
    assert text["div"] == '<div lang="en" xml:lang="en" xmlns="http://www.w3.org/1999/xhtml">Twitching</div>'
    assert narrative_fault(text["div"]) is None


def test_the_words_for_patients_beside_a_display_are_replaced_too() -> None:
    words = {"url": "rendering-markdown", "valueMarkdown": "Weak", "_valueMarkdown": in_other(es="Débil")}
    resource = {"resourceType": "Questionnaire", "item": [{"_display": {"extension": [words]}}]}
    [item] = translated(resource, "es")["item"]
    assert item["_display"]["extension"][0]["valueMarkdown"] == "Débil"


def test_a_concept_is_called_by_its_designation_and_not_by_a_synonym() -> None:
    synonym = {"language": "es", "use": {"code": "900000000000013009"}, "value": "fofo"}
    concept = {"code": "weak", "display": "Weak", "designation": [synonym, {"language": "es", "value": "débil"}]}
    resource = {"resourceType": "CodeSystem", "concept": [concept]}
    assert translated(resource, "es")["concept"][0]["display"] == "débil"


def test_the_closest_of_several_translations_counts() -> None:
    resource = {"resourceType": "Questionnaire", "title": "Shot", "_title": in_other(es="Inyección", es_MX="Piquete")}
    assert translated(resource, "es-MX")["title"] == "Piquete"
    assert translated(resource, "es-ES")["title"] == "Inyección"


def test_a_resource_in_the_language_that_is_asked_for_is_itself() -> None:
    resource = {"resourceType": "Questionnaire", "language": "en", "title": "Twitching"}
    assert translated(resource, "en-US") is resource


def test_the_languages_are_those_of_any_text_at_any_depth() -> None:
    resource = {
        "resourceType": "CodeSystem",
        "title": "Levels",
        "_title": in_other(fr="Niveaux"),
        "concept": [{"code": "a", "concept": [{"code": "b", "designation": [{"language": "es", "value": "b"}]}]}],
    }
    assert languages(resource) == {"es", "fr"}


def test_an_empty_translation_is_none() -> None:
    resource = {"resourceType": "Questionnaire", "title": "Twitching", "_title": in_other(es=" ")}
    assert languages(resource) == frozenset()
    assert translated(resource, "es")["title"] == "Twitching"
    assert list(untranslated(resource, "es")) == ["Questionnaire.title"]


def test_what_patients_read_of_a_questionnaire_needs_a_translation() -> None:
    constraint = {
        "url": "http://hl7.org/fhir/StructureDefinition/questionnaire-constraint",
        "extension": [
            {"url": "key", "valueId": "one"},
            {"url": "human", "valueString": "Choose one."},
            {"url": "expression", "valueString": "answer.count() = 1"},
        ],
    }
    words = {"url": "http://hl7.org/fhir/StructureDefinition/rendering-markdown", "valueMarkdown": "I am weak"}
    option = {"valueCoding": {"code": "weak", "display": "Asthenia", "_display": {"extension": [words]}}}
    question = {
        "linkId": "1",
        "text": "How are you?",
        "code": [{"display": "State"}],
        "extension": [constraint],
        "answerOption": [option, {"valueString": "Fine"}],
        "enableWhen": [{"answerCoding": {"display": "Asthenia"}}],
    }
    resource = {
        "resourceType": "Questionnaire",
        "name": "Page",
        "text": {"div": "<div>Page</div>"},
        "contained": [
            {"resourceType": "Observation", "code": {"text": "State"}},
            {"resourceType": "ValueSet", "compose": {"include": [{"concept": [{"code": "a", "display": "A"}]}]}},
        ],
        "item": [question],
    }
    assert list(untranslated(resource, "es")) == [
        "Questionnaire.contained[1].compose.include[0].concept[0].display",
        "Questionnaire.item[0].text",
        "Questionnaire.item[0].extension[0].extension[1].valueString",
        "Questionnaire.item[0].answerOption[0].valueCoding.display",
        "Questionnaire.item[0].answerOption[0].valueCoding._display.extension[0].valueMarkdown",
        "Questionnaire.item[0].answerOption[1].valueString",
    ]


def test_what_patients_read_of_a_plan_needs_a_translation_and_sources_and_triggers_do_not() -> None:
    rule = {
        "title": "Breathless",
        "textEquivalent": "Call now.",
        "_textEquivalent": in_other(es="Llame ahora."),
        "code": [{"coding": [{"display": "Emergency"}]}],
        "documentation": [{"citation": "NICE NG127"}],
        "action": [{"textEquivalent": "Do not wait."}],
    }
    resource = {
        "resourceType": "PlanDefinition",
        "usage": "Information only.",
        "purpose": "To name reasons.",
        "contained": [
            {"resourceType": "PlanDefinition", "action": [{"title": "Home care"}, {"title": "Ask", "trigger": [{}]}]}
        ],
        "action": [rule],
    }
    assert list(untranslated(resource, "es")) == [
        "PlanDefinition.usage",
        "PlanDefinition.contained[0].action[0].title",
        "PlanDefinition.action[0].title",
        "PlanDefinition.action[0].action[0].textEquivalent",
    ]


def test_a_resource_in_its_own_language_lacks_nothing() -> None:
    resource = {"resourceType": "Questionnaire", "language": "en", "title": "Twitching"}
    assert list(untranslated(resource, "en")) == []


def test_what_clinicians_and_machines_read_needs_no_translation() -> None:
    assert list(untranslated({"resourceType": "ConceptMap", "title": "Body"}, "es")) == []
