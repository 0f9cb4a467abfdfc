"""How the clinician's summary of a page is laid out: its sections in their order, and where on the body answers lie.

The layout is a Composition that the page's PlanDefinition contains: each section has a title, and entries that name a
question by linkId (`identifier.value`, with a short name in `display`), or the ConceptMap that takes the answers of the
section to places of the body picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from service.errors import Issue, IssueType, error
from service.fhir.json import Json
from service.sdc.comparison import AnswerKey
from service.sdc.questionnaire import Item, Questionnaire

SIDES: Final = frozenset({"left", "right"})
WHOLE_BODY: Final = "body"
_CODING: Final = "valueCoding"
_PAIRED: Final = ("eyelid", "shoulder", "arm", "hand", "thumb", "thigh", "leg", "calf", "foot")
PLACES: Final = frozenset({"face", "tongue", "neck", "trunk", "back"}) | {
    f"{place}-{side}" for place in _PAIRED for side in SIDES
}
"""The places of the picture; those of a pair end with the patient's own side."""

BodyMap = Mapping[AnswerKey, tuple[str, ...]]
"""Places and sides of the picture by the answers that name them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One question of the summary, and what it is called there."""

    item: Item
    label: str


@dataclass(frozen=True, slots=True)
class Section:
    """Questions that stand together; `body` says where the places are that they name, if they name any."""

    title: str
    lines: tuple[Line, ...]
    body: BodyMap

    def has_place(self, item: Item) -> bool:
        """Whether an option of `item` is a place of the picture: then each of its answers is a site."""
        return any({*self.body.get(key, ())} - SIDES for key in item.option_keys)


@dataclass(frozen=True, slots=True)
class SummaryLayout:
    """The sections of a page's summary. `issues` say what is unusable in them."""

    sections: tuple[Section, ...]
    issues: tuple[Issue, ...]


def compile_layout(plan: Json, questionnaire: Questionnaire, artifacts: Iterable[Json]) -> SummaryLayout:
    """The layout that the PlanDefinition `plan` contains; without one, the groups of the questionnaire as they come.

    `artifacts` are the page's resources, its ConceptMaps among them.
    """
    contained = plan.get("contained", [])
    found = [
        (f"PlanDefinition.contained[{index}]", one)
        for index, one in enumerate(contained)
        if one.get("resourceType") == "Composition"
    ]
    if not found:
        return SummaryLayout(tuple(_groups(questionnaire)), ())
    maps = {one["url"]: one for one in artifacts if one.get("resourceType") == "ConceptMap" and "url" in one}
    compiler = _Compiler(questionnaire, maps)
    path, composition = found[0]
    if len(found) > 1:
        compiler.refuse(IssueType.DUPLICATE, "A page has one Composition: the layout of its summary.", found[1][0])
    sections = tuple(compiler.sections(composition, path))
    compiler.expect_every_question(sections, path)
    return SummaryLayout(sections, tuple(compiler.issues))


def _groups(questionnaire: Questionnaire) -> Iterator[Section]:
    for item in questionnaire.items:
        lines = tuple(Line(one, one.text or one.link_id) for one in _questions([item]))
        if lines:
            yield Section(item.text or item.link_id, lines, {})


def _questions(items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        if item.is_question:
            yield item
        yield from _questions(item.items)


@dataclass(slots=True)
class _Compiler:
    questionnaire: Questionnaire
    maps: Mapping[str, Json]
    issues: list[Issue] = field(default_factory=list)

    def sections(self, composition: Json, path: str) -> Iterator[Section]:
        for index, section in enumerate(composition.get("section", [])):
            place = f"{path}.section[{index}]"
            if not section.get("title"):
                self.refuse(IssueType.REQUIRED, "A section of the summary needs a title.", f"{place}.title")
            lines: list[Line] = []
            body: dict[AnswerKey, tuple[str, ...]] = {}
            for position, entry in enumerate(section.get("entry", [])):
                entry_place = f"{place}.entry[{position}]"
                if "reference" in entry:
                    body.update(self._body(entry["reference"], entry_place))
                else:
                    lines.extend(self._line(entry, entry_place))
            if body and not any(line.item.option_keys.keys() & body.keys() for line in lines):
                self.refuse(IssueType.CODE_INVALID, "The ConceptMap maps no answer of this section.", place)
            yield Section(section.get("title", ""), tuple(lines), body)

    def expect_every_question(self, sections: Iterable[Section], path: str) -> None:
        """Refuses a summary that leaves a question out, or shows one twice: clinicians would miss an answer."""
        shown = [line.item.link_id for section in sections for line in section.lines]
        for item in _questions(self.questionnaire.items):
            times = shown.count(item.link_id)
            if times != 1:
                text = f"The summary shows '{item.link_id}' {times} times. Name each question in one section."
                self.refuse(IssueType.REQUIRED if times == 0 else IssueType.DUPLICATE, text, f"{path}.section")

    def refuse(self, code: IssueType, text: str, path: str) -> None:
        """Adds an issue."""
        self.issues.append(error(code, text, path))

    def _line(self, entry: Json, place: str) -> Iterator[Line]:
        link_id = entry.get("identifier", {}).get("value")
        item = self.questionnaire.by_link_id.get(link_id)
        if item is None or not item.is_question:
            text = f"'{link_id}' is no question of the page. Give the linkId of one in identifier.value."
            self.refuse(IssueType.NOT_FOUND, text, f"{place}.identifier")
        else:
            yield Line(item, entry.get("display") or item.text)

    def _body(self, reference: str, place: str) -> BodyMap:
        found = self.maps.get(reference)
        if found is None:
            text = f"'{reference}' is no ConceptMap of the page. Give the url of one."
            self.refuse(IssueType.NOT_FOUND, text, f"{place}.reference")
            return {}
        body: dict[AnswerKey, tuple[str, ...]] = {}
        for group in found.get("group", []):
            for element in group.get("element", []):
                targets = tuple(target.get("code", "") for target in element.get("target", []))
                unknown = {*targets} - PLACES - SIDES - {WHOLE_BODY}
                if unknown:
                    named, known = (", ".join(sorted(codes)) for codes in (unknown, PLACES))
                    text = f"The body picture has no {named}. It has {known}."
                    self.refuse(IssueType.CODE_INVALID, text, "ConceptMap.group")
                body[_CODING, group.get("source", ""), element.get("code", "")] = targets
        return body
