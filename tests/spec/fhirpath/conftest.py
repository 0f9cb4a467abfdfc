"""How the tables of this folder are read: an expression, and its result as one writes it in FHIRPath.

`{}` is the empty collection, `error` an error of evaluation, `refused` one of compilation.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.fhirpath import (
    Date,
    DateTime,
    Environment,
    EvaluationError,
    FhirPathError,
    Item,
    Node,
    Time,
    compile_expression,
    json_value,
)

NOW = datetime(2026, 3, 15, 10, 30, 15, 250_000, tzinfo=UTC)

Evaluate = Callable[..., str]


@pytest.fixture
def evaluate() -> Evaluate:
    def result(text: str, resource: dict[str, Any] | None = None) -> str:
        focus = [] if resource is None else [Node.of_resource(resource)]
        try:
            return written(compile_expression(text).evaluate(focus, Environment(NOW)))
        except EvaluationError:
            return "error"
        except FhirPathError:
            return "refused"

    return result


def written(items: list[Item]) -> str:
    return ", ".join(map(_written, items)) if items else "{}"


def _written(item: Item) -> str:
    value = json_value(item) if isinstance(item, Node) else item
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}'"
        case Date() | DateTime():
            return f"@{value}"
        case Time():
            return f"@T{value}"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
