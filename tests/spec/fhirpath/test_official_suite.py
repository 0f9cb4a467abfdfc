"""The official FHIRPath suite for FHIR R4: a case passes, or stands with its reason in official-exceptions.toml.

Types are compared without regard to case, as the suite writes R4's names (boolean) for values of System types.
"""

from datetime import UTC, datetime

from service.fhirpath import (
    Date,
    DateTime,
    Environment,
    FhirPathError,
    Item,
    Node,
    Time,
    compile_expression,
    type_name,
)
from service.fhirpath.functions.conversion import to_string
from service.fhirpath.values import system_value
from tests.spec.fhirpath.official import Case, cases, exceptions, input_resource

NOW = datetime(2026, 3, 15, 10, 30, 15, 250_000, tzinfo=UTC)
REFUSED = (("error", ""),)


def test_every_case_passes_or_is_listed() -> None:
    suite = cases()
    assert len(suite) > 900
    failing = {case.name for case in suite if not _passes(case)}
    listed = exceptions()
    report = [f"{case.name}: {case.expression}" for case in suite if case.name in failing - listed.keys()]
    assert report == [], "these cases fail"
    assert sorted(listed.keys() - failing) == [], "these cases pass, or are gone: take them off the list"


def _passes(case: Case) -> bool:
    found = _found(case)
    if case.refused:
        return found == REFUSED
    if len(found) != len(case.outputs):
        return False
    outputs = case.outputs
    if not case.ordered:
        found, outputs = tuple(sorted(found)), tuple(sorted(outputs))
    return all(
        of_type.lower() in ("", found_type.lower()) and text == found_text
        for (of_type, text), (found_type, found_text) in zip(outputs, found, strict=True)
    )


def _found(case: Case) -> tuple[tuple[str, str], ...]:
    resource = None if case.input_file is None else input_resource(case.input_file)
    focus = [] if resource is None else [Node.of_resource(resource)]
    try:
        expression = compile_expression(case.expression, context_type=None if resource is None else focus[0].type)
        items = expression.evaluate(focus, Environment(NOW))
    except FhirPathError:
        return REFUSED
    if case.predicate:
        return (("boolean", "true" if items else "false"),)
    return tuple((type_name(item), _text(item)) for item in items)


def _text(item: Item) -> str:
    value = system_value(item)
    text = "" if value is None else to_string(value) or ""
    match value:
        case Date() | DateTime():
            return f"@{text}"
        case Time():
            return f"@T{text}"
        case _:
            return text
