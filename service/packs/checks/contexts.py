"""Extensions stand where their definition lets them: the contexts of FHIR R4 and SDC STU4."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from service.errors import Issue, IssueType, error
from service.fhir.elements import objects
from service.packs.pack import Pack
from service.sdc import vocabulary as sdc


class Place(StrEnum):
    """The kinds of element of a Questionnaire that an extension may stand on."""

    ROOT = "Questionnaire"
    ITEM = "an item"
    OPTION = "an answerOption"
    CODING = "a Coding"
    TEXT = "a text (`_text`, `_display` and the like)"
    TEMPLATE = "a template"


_ROOT_AND_ITEM: Final = frozenset({Place.ROOT, Place.ITEM})
_ITEM: Final = frozenset({Place.ITEM})
_CONTEXTS: Final = {
    sdc.LAUNCH_CONTEXT: frozenset({Place.ROOT}),
    sdc.VARIABLE: _ROOT_AND_ITEM,
    sdc.CONSTRAINT: _ROOT_AND_ITEM,
    sdc.TARGET_CONSTRAINT: _ROOT_AND_ITEM,
    sdc.SOURCE_QUERIES: _ROOT_AND_ITEM,
    sdc.ITEM_POPULATION_CONTEXT: _ROOT_AND_ITEM,
    sdc.ITEM_EXTRACTION_CONTEXT: _ROOT_AND_ITEM,
    sdc.TEMPLATE_EXTRACT: _ROOT_AND_ITEM,
    sdc.TEMPLATE_EXTRACT_BUNDLE: frozenset({Place.ROOT}),
    sdc.DEFINITION_EXTRACT: _ROOT_AND_ITEM,
    sdc.EXTRACT_ALLOCATE_ID: _ROOT_AND_ITEM,
    sdc.TEMPLATE_EXTRACT_CONTEXT: frozenset({Place.TEMPLATE}),
    sdc.TEMPLATE_EXTRACT_VALUE: frozenset({Place.TEMPLATE}),
    sdc.INITIAL_EXPRESSION: _ITEM,
    sdc.CALCULATED_EXPRESSION: _ITEM,
    sdc.ENABLE_WHEN_EXPRESSION: _ITEM,
    sdc.OBSERVATION_LINK_PERIOD: _ROOT_AND_ITEM,
    sdc.MIN_OCCURS: _ITEM,
    sdc.MAX_OCCURS: _ITEM,
    sdc.MIN_LENGTH: _ITEM,
    sdc.MIN_VALUE: _ITEM,
    sdc.MAX_VALUE: _ITEM,
    sdc.MAX_DECIMAL_PLACES: _ITEM,
    sdc.REGEX: _ITEM,
    sdc.UNIT: _ITEM,
    sdc.UNIT_OPTION: _ITEM,
    sdc.UNIT_VALUE_SET: _ITEM,
    sdc.HIDDEN: _ITEM,
    sdc.ITEM_CONTROL: _ITEM,
    sdc.ENTRY_FORMAT: _ITEM,
    sdc.OPTION_EXCLUSIVE: frozenset({Place.OPTION}),
    sdc.OPTION_PREFIX: frozenset({Place.OPTION}),
    sdc.ORDINAL_VALUE: frozenset({Place.OPTION, Place.CODING}),
    sdc.ITEM_WEIGHT: frozenset({Place.OPTION, Place.CODING}),
    sdc.RENDERING_MARKDOWN: frozenset({Place.TEXT}),
    sdc.SHORT_TEXT: frozenset({Place.TEXT}),
}


def context_issues(pack: Pack) -> Iterator[Issue]:
    """The extensions of the Questionnaire that stand on an element which gives them no meaning."""
    for path, element in objects(pack.questionnaire.definition, "Questionnaire"):
        place = _place(path)
        for index, extension in enumerate(element.get("extension", ())):
            allowed = _CONTEXTS.get(str(extension.get("url")))
            if allowed is not None and place not in allowed:
                text = f"{extension['url']} has no meaning here. It belongs on {' or '.join(sorted(allowed))}."
                yield error(IssueType.EXTENSION, text, f"{path}.extension[{index}]")


def _place(path: str) -> Place | None:
    name = path.rpartition(".")[2].partition("[")[0]
    if path.startswith("Questionnaire.contained["):
        return Place.TEMPLATE
    match name:
        case "Questionnaire":
            return Place.ROOT
        case "item":
            return Place.ITEM
        case "answerOption":
            return Place.OPTION
        case "valueCoding":
            return Place.CODING
    return Place.TEXT if name.startswith("_") else None
