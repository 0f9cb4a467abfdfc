"""npm's `fhirpath` as an oracle: made-up expressions on made-up responses must give the same in both engines.

Where the two differ, the specification decides; such differences are listed by kind in oracle/differences.toml.
A kind is three patterns: of the expression, of our result and of the oracle's, as `written`.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from service.fhirpath import DateTime, Environment, FhirPathError, Item, Node, compile_expression, json_value
from service.fhirpath.errors import Fault
from service.fhirpath.temporal import instant_parts
from tests.spec.fhirpath.generation import Expressions, response

ORACLE = Path(__file__).parent / "oracle"
SEED = 1
RESPONSES = 30
EXPRESSIONS_EACH = 50


@dataclass(frozen=True, slots=True)
class Kind:
    """Differences that the specification explains."""

    name: str
    expression: str
    ours: str
    theirs: str

    def explains(self, expression: str, ours: str, theirs: str) -> bool:
        parts = ((self.expression, expression), (self.ours, ours), (self.theirs, theirs))
        return all(re.search(pattern, part) for pattern, part in parts)


def test_both_engines_agree_but_for_what_the_specification_decides() -> None:
    random = Random(SEED)
    cases = [(response(random), [Expressions(random).any() for _ in range(EXPRESSIONS_EACH)]) for _ in range(RESPONSES)]
    kinds = _kinds()
    seen: Counter[str] = Counter()
    unexplained = []
    for (resource, expressions), answers in zip(cases, _oracle(cases), strict=True):
        for expression, answer in zip(expressions, answers, strict=True):
            ours, theirs = _ours(resource, expression), _written(answer)
            if ours != theirs and not (ours.startswith("error") and theirs.startswith("error")):
                found = next((kind.name for kind in kinds if kind.explains(expression, ours, theirs)), None)
                seen[found or ""] += 1
                if found is None:
                    unexplained.append(f"{expression}\n    ours: {ours}\n  theirs: {theirs}")
    assert not unexplained, "\n".join(unexplained)
    assert [kind.name for kind in kinds if kind.name not in seen] == [], "no longer a difference: take it off the list"


def _kinds() -> list[Kind]:
    listed = tomllib.loads((ORACLE / "differences.toml").read_text(encoding="utf-8"))["kind"]
    assert all(one["reason"] for one in listed)
    return [Kind(one["name"], one.get("expression", ""), one.get("ours", ""), one.get("theirs", "")) for one in listed]


def _oracle(cases: list[tuple[dict[str, Any], list[str]]]) -> list[list[Any]]:
    assert (ORACLE / "node_modules").is_dir(), "npm's fhirpath is not installed: start the tests with tests/run"
    asked = [{"resource": resource, "expressions": expressions} for resource, expressions in cases]
    run = subprocess.run(
        ["node", ORACLE / "evaluate.js"],
        input=json.dumps(asked, default=float),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[list[Any]] = json.loads(run.stdout)
    return answers


def _ours(resource: dict[str, Any], expression: str) -> str:
    root = Node.of_resource(resource)
    environment = Environment(datetime(2026, 3, 15, 10, tzinfo=UTC), {"resource": [root]})
    try:
        items = compile_expression(expression, context_type=root.type).evaluate([root], environment)
    except FhirPathError as error:
        return f"error: {error.reason}"
    return _written([_plain(item) for item in items])


def _plain(item: Item) -> Any:
    return json_value(item) if isinstance(item, Node | bool | int | Decimal | str) else str(item)


def _written(answer: Any) -> str:
    """A result as text: the same for numbers of one value, and for moments of one instant."""
    if isinstance(answer, dict):
        return f"error: {answer['error']}"
    return "{}" if not answer else ", ".join(map(_written_item, answer))


def _written_item(value: Any) -> str:
    if isinstance(value, bool | dict):
        return json.dumps(value, sort_keys=True, default=float)
    if isinstance(value, int | float | Decimal):
        return f"{float(value):.8g}"
    return _instant(value) or f"'{value}'"


def _instant(text: str) -> str | None:
    try:
        moment = DateTime.parse(text)
    except Fault:
        return None
    return None if moment.offset is None else f"@{instant_parts(moment)}"
