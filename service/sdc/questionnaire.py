"""A Questionnaire as the engine holds it: items as an indexed tree, with every expression ready to run.

FHIR R4 Questionnaire (http://hl7.org/fhir/R4/questionnaire.html) with SDC STU4 extensions; made by
`service.sdc.compilation`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from service.errors import Issue, Severity
from service.fhir.json import Json
from service.fhir.terminology import Terminology
from service.fhirpath import Expression
from service.sdc import vocabulary as sdc
from service.sdc.comparison import AnswerKey
from service.sdc.limits import Limit


class ItemType(StrEnum):
    """FHIR R4 item-type."""

    GROUP = "group"
    DISPLAY = "display"
    QUESTION = "question"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE = "date"
    DATE_TIME = "dateTime"
    TIME = "time"
    STRING = "string"
    TEXT = "text"
    URL = "url"
    CHOICE = "choice"
    OPEN_CHOICE = "open-choice"
    ATTACHMENT = "attachment"
    REFERENCE = "reference"
    QUANTITY = "quantity"


class EnableBehavior(StrEnum):
    """FHIR R4 questionnaire-enable-behavior."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Option:
    """One answerOption: the element with its value[x], its identity, and whether it stands alone."""

    value: Json
    key: AnswerKey
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One enableWhen: `answer` is the wanted value, `value_key` how an answer names that type ("valueCoding")."""

    question: str
    operator: str
    value_key: str
    answer: Any


@dataclass(frozen=True, slots=True)
class Constraint:
    """One questionnaire-constraint: a response passes when `expression` is not false."""

    key: str
    severity: Severity
    human: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Variable:
    """A named expression, visible below the element it stands on."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a Questionnaire. `path` is its place there; `options` is None where any value may be given.

    `always_shown` tells that no answer hides the item or one around it; `may_hide`, that one may hide it or one in it.
    `is_question` is true where a person gives an answer; `answer_keys` are the names its values may have
    ("valueCoding"); `positions` are those of the nested items by linkId.
    """

    link_id: str
    type: ItemType
    text: str
    path: str
    definition: Json
    required: bool
    repeats: bool
    ancestors: tuple[str, ...]
    always_shown: bool
    may_hide: bool
    options: tuple[Option, ...] | None
    option_keys: Mapping[AnswerKey, Option]
    unresolved_value_set: str | None
    conditions: tuple[Condition, ...]
    behavior: EnableBehavior
    enable_expression: Expression | None
    calculated: Expression | None
    constraints: tuple[Constraint, ...]
    limits: tuple[Limit, ...]
    min_occurs: int
    max_occurs: int | None
    variables: tuple[Variable, ...]
    expressions: Mapping[str, Expression]
    items: tuple[Item, ...]
    is_question: bool
    answer_keys: frozenset[str]
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """A compiled Questionnaire; `issues` say what of it could not be compiled.

    `population_names` are the variables that hold what queries find while a response is populated, else nothing;
    `terminology` are the value sets and code systems at hand, the contained ones first; `weights` the ordinal values of
    options by (system, code); `look_back` are the variables that read earlier responses, themselves or through others.
    """

    definition: Json
    url: str | None
    version: str | None
    status: str
    items: tuple[Item, ...]
    positions: Mapping[str, int]
    by_link_id: Mapping[str, Item]
    variables: tuple[Variable, ...]
    expressions: Mapping[str, Expression]
    look_back: frozenset[str]
    constraints: tuple[Constraint, ...]
    launch_contexts: frozenset[str]
    population_names: frozenset[str]
    terminology: Terminology
    weights: Mapping[tuple[str | None, str | None], Decimal]
    issues: tuple[Issue, ...]

    @property
    def variable_names(self) -> frozenset[str]:
        """The names that an expression on the Questionnaire's root may read."""
        return self.fact_names - self.look_back

    @property
    def fact_names(self) -> frozenset[str]:
        """The same for a rule, which alone may look back at earlier responses: nothing else of a page hangs on them."""
        return root_names(self.launch_contexts | self.population_names) | {one.name for one in self.variables}


def look_back_hint(text: str, look_back: frozenset[str]) -> str:
    """Why the expression `text` cannot be compiled, if it reads earlier responses where it must not; else ""."""
    names = "|".join(map(re.escape, {sdc.LOOK_BACK, *look_back}))
    if re.search(rf"%`?(?:{names})\b", text) is None:
        return ""
    return ". Earlier responses are read by facts (root variables) alone, and such facts by rules alone"


def root_names(others: frozenset[str]) -> frozenset[str]:
    return sdc.STANDARD_VARIABLES | sdc.RESPONSE_VARIABLES | others
