"""Responses and expressions made up by chance, for the comparison with another engine. A seed fixes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final

SYSTEM: Final = "http://snomed.info/sct"
CODES: Final = ("88092000", "44077006", "16046003", "none")
WORDS: Final = ("", "calf", "Left calf", " since March ", "b1.5")
DATES: Final = ("2026-03-15", "2026-02", "2026", "2025-12-31", "2024-02-29")
TIMES: Final = ("10:30:00", "23:59:59.500", "00:00:00")
MOMENTS: Final = (
    "2026-03-15T10:00:00+01:00",
    "2026-03-15T09:00:00Z",
    "2026-02-28T23:30:00-05:00",
    "2026-03-15T12:15:30.250+02:00",
)
NUMBERS: Final = ("0", "1", "3", "7", "2.5", "0.10")
QUESTIONS: Final = {
    "coding": ("symptoms", "triggers"),
    "string": ("note",),
    "date": ("onset",),
    "moment": ("seen",),
    "time": ("hour",),
    "number": ("count", "strength"),
    "boolean": ("worse",),
    "quantity": ("dose",),
}
DEPTH: Final = 3


def response(random: Random) -> dict[str, Any]:
    """A QuestionnaireResponse with some of the questions answered, some of them within a group."""
    items = [_item(random, kind, link_id) for kind, names in QUESTIONS.items() for link_id in names]
    answered = [item for item in items if random.random() < 0.85]
    place = random.randrange(len(answered) + 1)
    group = {"linkId": "group", "text": "Group", "item": answered[place:] or [{"linkId": "none"}]}
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "status": random.choice(("completed", "in-progress")),
        "authored": random.choice(MOMENTS),
        "item": [*answered[:place], group],
    }


def _item(random: Random, kind: str, link_id: str) -> dict[str, Any]:
    count = random.choice((1, 1, 2, 3)) if kind == "coding" else 1
    return {"linkId": link_id, "answer": [_answer(random, kind, link_id) for _ in range(count)]}


def _answer(random: Random, kind: str, link_id: str) -> dict[str, Any]:
    match kind:
        case "coding":
            return {"valueCoding": {"system": SYSTEM, "code": random.choice(CODES)}}
        case "string":
            return {"valueString": random.choice(WORDS[1:])}
        case "date":
            return {"valueDate": random.choice(DATES)}
        case "moment":
            return {"valueDateTime": random.choice(MOMENTS)}
        case "time":
            return {"valueTime": random.choice(TIMES)}
        case "number" if link_id == "count":
            return {"valueInteger": random.randrange(-2, 12)}
        case "number":
            return {"valueDecimal": Decimal(random.choice(("2.5", "0.10", "7.25")))}
        case "boolean":
            return {"valueBoolean": random.random() < 0.5}
    unit = random.choice(("mg", "g"))
    value = {"value": random.randrange(1, 900), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {"valueQuantity": value}


class Expressions:
    """Expressions of a known kind, so that most make sense; now and then one of a wrong kind stands within."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._kinds: dict[str, Callable[[int], str]] = {
            "boolean": self.boolean,
            "number": self.number,
            "string": self.string,
            "date": self.date,
            "moment": self.moment,
            "time": self.time,
            "quantity": self.quantity,
            "codes": self.codes,
        }

    def any(self) -> str:
        """An expression of any kind."""
        return self._kinds[self._random.choice(tuple(self._kinds))](DEPTH)

    def boolean(self, depth: int) -> str:
        """A truth, or nothing."""
        if depth == 0:
            return self._one_of(("true", "false", "{}", self._answer("boolean")))
        below = depth - 1
        kind = self._one_of(("number", "string", "date", "moment", "time", "quantity"))
        return self._one_of(
            (
                f"({self._made('boolean', below)} {self._logic()} {self._made('boolean', below)})",
                f"({self._made('boolean', below)} {self._logic()} {self._made('boolean', below)})",
                f"({self._made(kind, below)} {self._comparison()} {self._made(kind, below)})",
                f"({self._made(kind, below)} {self._comparison()} {self._made(kind, below)})",
                f"({self.codes(below)} {self._one_of(('contains', '='))} {self._code()})",
                f"({self._code()} in {self.codes(below)})",
                f"{self._made('boolean', below)}.not()",
                f"{self.codes(below)}.{self._one_of(('exists()', 'empty()', 'isDistinct()'))}",
                f"{self.codes(below)}.{self._one_of(('all', 'exists'))}($this = {self._code()})",
                f"{self.codes(below)}.{self._one_of(('subsetOf', 'supersetOf'))}({self.codes(below)})",
                f"{self.string(below)}.{self._one_of(('startsWith', 'endsWith', 'contains'))}({self._word()})",
                f"{self.string(below)}.matches('^[a-zA-Z ]+$')",
                f"{self._made('string', below)}.convertsTo{self._one_of(('Integer', 'Decimal', 'Boolean'))}()",
                f"({self._made(kind, below)} is {self._type()})",
            )
        )

    def number(self, depth: int) -> str:
        """A number, or nothing."""
        if depth == 0:
            return self._one_of((self._one_of(NUMBERS), self._answer("number"), self._answer("number")))
        below = depth - 1
        operator = self._one_of(("+", "-", "*", "/", "div", "mod"))
        return self._one_of(
            (
                f"({self._made('number', below)} {operator} {self._made('number', below)})",
                f"(-{self.number(0)})",
                f"{self.codes(below)}.count()",
                f"{self.string(below)}.length()",
                f"{self.string(below)}.indexOf({self._word()})",
                f"{self.number(below)}.{self._one_of(('abs()', 'ceiling()', 'floor()', 'truncate()', 'round(1)'))}",
                f"iif({self.boolean(below)}, {self.number(below)}, {self.number(below)})",
                f"({self.number(0)} | {self.number(0)} | 1).aggregate($this + $total, 0)",
                f"{self.string(below)}.toInteger()",
            )
        )

    def string(self, depth: int) -> str:
        """A string, or nothing."""
        if depth == 0:
            return self._one_of((self._word(), self._answer("string"), "status", "id"))
        below = depth - 1
        return self._one_of(
            (
                f"({self._made('string', below)} & {self._made('string', below)})",
                f"({self._made('string', below)} + {self._made('string', below)})",
                f"{self.string(below)}.substring({self._one_of('0123')})",
                f"{self.string(below)}.substring(1, {self._one_of('0123')})",
                f"{self.string(below)}.{self._one_of(('upper()', 'lower()', 'trim()'))}",
                f"{self.string(below)}.replace({self._word()}, 'x')",
                f"{self.string(below)}.replaceMatches('([a-f])', '<$1>')",
                f"{self.codes(below)}.join(',')",
                f"{self.codes(below)}.{self._one_of(('first()', 'last()', 'single()'))}",
                f"{self.number(below)}.toString()",
                f"iif({self.boolean(below)}, {self.string(below)})",
            )
        )

    def date(self, depth: int) -> str:
        """A date of any precision, or nothing."""
        if depth == 0:
            return self._one_of((f"@{self._one_of(DATES)}", self._answer("date")))
        return f"({self.date(depth - 1)} {self._one_of('+-')} {self._duration()})"

    def moment(self, depth: int) -> str:
        """A date with time, or nothing."""
        if depth == 0:
            return self._one_of((f"@{self._one_of(MOMENTS)}", self._answer("moment"), "authored"))
        return f"({self.moment(depth - 1)} {self._one_of('+-')} {self._duration()})"

    def time(self, depth: int) -> str:
        """A time of day, or nothing."""
        return self._one_of((f"@T{self._one_of(TIMES)}", "@T10:30", self._answer("time")))

    def quantity(self, depth: int) -> str:
        """A quantity, or nothing."""
        return self._one_of(("5 'mg'", "0.005 'g'", "3 days", "72 hours", self._answer("quantity")))

    def codes(self, depth: int) -> str:
        """Any number of codes."""
        if depth == 0:
            return self._one_of((f"{self._answer('coding')}.code", f"({self._code()} | {self._code()})"))
        below = depth - 1
        operator = self._one_of(("union", "combine", "intersect", "exclude"))
        return self._one_of(
            (
                f"{self.codes(below)}.{operator}({self.codes(below)})",
                f"({self.codes(below)} | {self.codes(below)})",
                f"{self.codes(below)}.where($this != {self._code()})",
                f"{self.codes(below)}.select($this & {self._word()})",
                f"{self.codes(below)}.{self._one_of(('distinct()', 'tail()', 'skip(1)', 'take(2)', 'first()'))}",
                f"{self.codes(below)}[{self._one_of('01')}]",
                "%resource.repeat(item).linkId",
                f"%resource.repeat(item).where({self.boolean(0)} or linkId = 'note').linkId",
            )
        )

    def _made(self, kind: str, depth: int) -> str:
        if self._random.random() < 0.12:
            kind = self._one_of(tuple(self._kinds))
        return self._kinds[kind](max(0, depth - self._random.randrange(2)))

    def _answer(self, kind: str) -> str:
        link_id = self._one_of(QUESTIONS[kind])
        start = self._one_of(("%resource.descendants()", "%resource.repeat(item)", "repeat(item)", "item"))
        return f"{start}.where(linkId = '{link_id}').answer.value"

    def _logic(self) -> str:
        return self._one_of(("and", "or", "xor", "implies"))

    def _comparison(self) -> str:
        return self._one_of(("=", "!=", "~", "!~", "<", "<=", ">", ">="))

    def _code(self) -> str:
        return f"'{self._one_of(CODES)}'"

    def _word(self) -> str:
        return f"'{self._one_of(WORDS)}'"

    def _type(self) -> str:
        return self._one_of(("Integer", "Decimal", "String", "Date", "DateTime", "Quantity", "FHIR.string", "date"))

    def _duration(self) -> str:
        number, unit = self._random.randrange(1, 40), self._one_of(("days", "months", "years", "weeks"))
        return f"{number} {unit}"

    def _one_of(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)
