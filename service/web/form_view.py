"""What a page of a form shows: blocks of text, questions and groups, ready for the templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.fhir.elements import typed_extension_value
from service.fhir.json import Json
from service.sdc import vocabulary as sdc
from service.sdc.context import ResponseContext
from service.sdc.drafting import Rows, row_count, scope_of
from service.sdc.form import (
    Control,
    choices,
    control,
    is_answerable,
    is_help,
    is_hidden,
    item_control,
    takes_own_words,
)
from service.sdc.items import Scope
from service.sdc.questionnaire import Item, ItemType
from service.web.answer_words import answer_words, bounds_of
from service.web.fields import Inputs, field_name, html_id, units, written
from service.web.form_reading import CONFIRM, Proposals
from service.web.interface import gettext as _

RIGHT_TO_LEFT: Final = frozenset({"ar", "dv", "fa", "he", "ps", "ur", "yi"})
_SEVERAL_INPUTS: Final = (Control.RADIOS, Control.CHECKBOXES, Control.YES_NO, Control.DATE, Control.DATE_TIME)
_STANDING_OUT: Final = ("instructions", "security", "header")


@dataclass(frozen=True, slots=True)
class OfferedChoice:
    """An option of a question; `stands_alone` tells that it goes with no other."""

    value: str
    label: str
    stands_alone: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that a number may be given in."""

    code: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One question. `inputs` are the values by the end of their name (".day"), one for each answer shown.

    `origin` says where a proposed answer comes from that waits for confirmation; `shown` is False while other answers
    hide the question; `fixed` are the answers of a question that a person reads and does not give; `is_added` asks for
    one input more.
    """

    name: str
    id: str
    control: Control | None
    label: str
    hints: tuple[str, ...]
    help: tuple[str, ...]
    required: bool
    repeats: bool
    shown: bool
    choices: tuple[OfferedChoice, ...]
    own_words_label: str | None
    inputs: Mapping[str, Sequence[str]]
    units: tuple[Unit, ...]
    max_length: int | None
    origin: str | None
    confirmed: bool
    error: str | None
    fixed: tuple[str, ...] | None
    is_added: bool
    kind: str = "field"

    @property
    def is_group(self) -> bool:
        """True when the question has several inputs, which a fieldset holds together."""
        return self.repeats or bool(self.units[1:]) or self.control in _SEVERAL_INPUTS

    @property
    def count(self) -> int:
        """How many answers there are inputs for."""
        filled = max([1, *map(len, self.inputs.values())]) if self.repeats else 1
        return filled + 1 if self.is_added else filled

    @property
    def own_words_count(self) -> int:
        """How many inputs there are for answers in own words."""
        filled = max(1, len(self.inputs.get(".other", ()))) if self.repeats else 1
        return filled + 1 if self.is_added else filled

    @property
    def described_by(self) -> str:
        """The ids of what explains the question, in the order of the page."""
        notes = (("hint", self.hints), ("origin", self.origin), ("error", self.error))
        return " ".join(f"{self.id}-{name}" for name, note in notes if note)

    @property
    def input_mode(self) -> str | None:
        """The keyboard that a telephone shows."""
        return {Control.INTEGER: "numeric", Control.DECIMAL: "decimal", Control.QUANTITY: "decimal"}.get(
            self.control or Control.TEXT
        )

    @property
    def width(self) -> str:
        """How wide its input is, as the stylesheet names it."""
        return "w8" if self.input_mode or self.control is Control.TIME else "wide"

    def value(self, part: str, index: int = 0) -> str:
        """The text of an input: the `index`-th of those whose name ends in `part`."""
        values = self.inputs.get(part, ())
        return values[index] if index < len(values) else ""


@dataclass(frozen=True, slots=True)
class Text:
    """A display item."""

    id: str
    text: str
    stands_out: bool
    shown: bool
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Group:
    """A group within a step; `rows` are its repetitions (one, where it does not repeat)."""

    name: str
    id: str
    title: str
    repeats: bool
    may_grow: bool
    may_shrink: bool
    shown: bool
    rows: tuple[tuple[Block, ...], ...]
    kind: str = "group"


Block = Field | Text | Group


@dataclass(frozen=True, slots=True)
class View:
    """Makes the blocks of one page.

    `inputs` is what was posted, where it is shown again; `errors` say by field name what is wrong; `added` names the
    question that gets one more input; `proposals` are shown where there is no answer.
    """

    context: ResponseContext
    proposals: Proposals
    errors: Mapping[str, str]
    inputs: Inputs | None = None
    added: str = ""

    def blocks(self, items: Sequence[Item]) -> tuple[Block, ...]:
        """The blocks of the top-level `items` of a step: those of a group itself, where the step is one."""
        if len(items) == 1 and items[0].type is ItemType.GROUP and not items[0].repeats:
            group = items[0]
            return tuple(self._blocks(group.items, scope_of(self.context.paired.root, group), (), shown=True))
        return tuple(self._blocks(items, self.context.paired.root, (), shown=True))

    def _blocks(self, items: Sequence[Item], scope: Scope, rows: Rows, *, shown: bool) -> Iterator[Block]:
        blocks: list[Block] = []
        for item in items:
            if is_hidden(item):
                continue
            enabled = shown and self.context.enablement.is_enabled(item, scope)
            if is_help(item) and blocks and isinstance(blocks[-1], Field):
                blocks[-1] = replace(blocks[-1], help=(*blocks[-1].help, item_label(item)))
            elif item.type is ItemType.DISPLAY:
                blocks.append(_text(item, rows, shown=enabled))
            elif item.type is ItemType.GROUP:
                blocks.append(self._group(item, scope, rows, shown=enabled))
            else:
                blocks.append(self._field(item, scope, rows, shown=enabled))
        yield from blocks

    def _group(self, item: Item, scope: Scope, rows: Rows, *, shown: bool) -> Group:
        name = field_name(item, rows)
        number = self._row_count(item, scope, rows) if item.repeats else 1
        within = [(*rows, row) if item.repeats else rows for row in range(number)]
        bodies = [
            tuple(self._blocks(item.items, scope_of(scope, item, row), place, shown=shown))
            for row, place in enumerate(within)
        ]
        return Group(
            name=name,
            id=html_id(name),
            title=item_label(item),
            repeats=item.repeats,
            may_grow=item.repeats and (item.max_occurs is None or number < item.max_occurs),
            may_shrink=item.repeats and number > max(1, item.min_occurs),
            shown=shown,
            rows=tuple(bodies),
        )

    def _row_count(self, item: Item, scope: Scope, rows: Rows) -> int:
        proposed = [place[len(rows)] for link_id, place in self.proposals if _is_row_of(item, rows, link_id, place)]
        there = len(scope.entries.get(item.link_id, ()))
        return row_count(scope, item) if there else max([0, *proposed]) + 1

    def _field(self, item: Item, scope: Scope, rows: Rows, *, shown: bool) -> Field:
        name = field_name(item, rows)
        entries = scope.entries.get(item.link_id, ())
        proposal = self.proposals.get((item.link_id, rows))
        answers = entries[0].answers if entries else proposal.answers if proposal else ()
        inputs = self._posted(name) if self.inputs is not None else _by_part(written(item, name, answers), name)
        return Field(
            name=name,
            id=html_id(name),
            control=control(item),
            label=item_label(item),
            hints=tuple(_hints(item)),
            help=tuple(item_label(child) for child in item.items if child.type is ItemType.DISPLAY),
            required=item.required,
            repeats=item.repeats,
            shown=shown,
            choices=tuple(_choices(item)),
            own_words_label=_own_words_label(item),
            inputs={"": (), **inputs},
            units=tuple(map(_unit, units(item, self.context.questionnaire.terminology))),
            max_length=item.definition.get("maxLength"),
            origin=proposal.origin if proposal and not entries else None,
            confirmed=self.inputs is not None and name + CONFIRM in self.inputs,
            error=self.errors.get(name),
            fixed=None if is_answerable(item) else tuple(answer_words(item, answer) for answer in answers),
            is_added=self.added == name,
        )

    def _posted(self, name: str) -> dict[str, Sequence[str]]:
        return _by_part({key: [*values] for key, values in (self.inputs or {}).items()}, name)


def shown_ids(blocks: Sequence[Block]) -> Iterator[str]:
    """The ids of the blocks that are shown, and of those within them."""
    for block in blocks:
        if block.shown:
            yield block.id
            for row in block.rows if isinstance(block, Group) else ():
                yield from shown_ids(row)


def item_label(item: Item) -> str:
    """What an item says to people: its prefix, and its text, in the plain words beside it where there are any."""
    sibling = item.definition.get("_text", {})
    text = typed_extension_value(sibling, sdc.RENDERING_MARKDOWN, str) or item.text or item.link_id
    return f"{item.definition['prefix']} {text}" if "prefix" in item.definition else text


def _text(item: Item, rows: Rows, *, shown: bool) -> Text:
    category = typed_extension_value(item.definition, sdc.DISPLAY_CATEGORY, dict) or {}
    code = next((str(coding.get("code")) for coding in category.get("coding", [])), item_control(item))
    return Text(html_id(field_name(item, rows)), item_label(item), code in _STANDING_OUT, shown)


def _choices(item: Item) -> Iterator[OfferedChoice]:
    if control(item) is Control.YES_NO:
        yield from (OfferedChoice("yes", _("Yes"), False), OfferedChoice("no", _("No"), False))
    for choice in choices(item):
        yield OfferedChoice(choice.value, choice.label, choice.option.exclusive)
    if control(item) in (Control.RADIOS, Control.YES_NO) and not item.required:
        # A browser has no way to take back a choice among radio buttons.
        yield OfferedChoice("", _("No answer"), True)


def _by_part(inputs: Inputs, name: str) -> dict[str, Sequence[str]]:
    """The inputs of one question by the end of their name."""
    return {
        key.removeprefix(name): values
        for key, values in inputs.items()
        if key == name or (key.startswith(f"{name}.") and "." not in key.removeprefix(f"{name}."))
    }


def _is_row_of(group: Item, rows: Rows, link_id: str, place: Rows) -> bool:
    return len(place) > len(rows) and place[: len(rows)] == rows and link_id in _link_ids(group)


def _link_ids(item: Item) -> Iterator[str]:
    for child in item.items:
        yield child.link_id
        yield from _link_ids(child)


def _own_words_label(item: Item) -> str | None:
    if not takes_own_words(item):
        return None
    return typed_extension_value(item.definition, sdc.OPEN_LABEL, str) or _("Something else, in your own words")


def _hints(item: Item) -> Iterator[str]:
    kind = control(item)
    if kind in (Control.DATE, Control.DATE_TIME):
        yield _("For example, 27 3 2025.")
    elif (entry_format := typed_extension_value(item.definition, sdc.ENTRY_FORMAT, str)) is not None:
        yield entry_format
    match bounds_of(item):
        case {"least": least, "most": most}:
            yield _("From %(least)s to %(most)s.", least=least, most=most)
        case {"least": least}:
            yield _("From %(least)s.", least=least)
        case {"most": most}:
            yield _("To %(most)s.", most=most)
    if "maxLength" in item.definition:
        yield _("At most %(number)s characters.", number=item.definition["maxLength"])


def _unit(coding: Json) -> Unit:
    code = str(coding.get("code", ""))
    return Unit(code, str(coding.get("display", code)))
