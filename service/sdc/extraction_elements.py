"""The Questionnaire as extraction compiles it: the root and its items alike, with the variables visible on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.fhir.elements import extensions
from service.fhir.json import Json
from service.sdc import vocabulary as sdc
from service.sdc.questionnaire import Item, Questionnaire


@dataclass(frozen=True, slots=True)
class Element:
    """The root (`item` None, `link_id` "") or an item; `names` are the variables that its expressions may read.

    `allocated` are those of them that hold an id for each time the element stands in a response.
    """

    link_id: str
    item: Item | None
    definition: Json
    path: str
    names: frozenset[str]
    allocated: tuple[str, ...]
    children: tuple[Element, ...]

    def __iter__(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child


def extraction_elements(questionnaire: Questionnaire) -> Element:
    """The root of `questionnaire`, with its items below."""
    names, allocated = questionnaire.variable_names, _allocated(questionnaire.definition)
    names |= set(allocated)
    children = _children(questionnaire.items, names)
    return Element("", None, questionnaire.definition, "Questionnaire", names, allocated, children)


def _children(items: Sequence[Item], around: frozenset[str]) -> tuple[Element, ...]:
    elements = []
    for item in items:
        allocated = _allocated(item.definition)
        names = around | {variable.name for variable in item.variables} | set(allocated)
        below = _children(item.items, names)
        elements.append(Element(item.link_id, item, item.definition, item.path, names, allocated, below))
    return tuple(elements)


def _allocated(definition: Json) -> tuple[str, ...]:
    return tuple(str(extension.get("valueString")) for extension in extensions(definition, sdc.EXTRACT_ALLOCATE_ID))
