"""What a question says of its answers beyond their type: bounds, lengths, patterns, units, targets, attachments.

Each limit of an item is compiled into one check. FHIR R4 extensions on Questionnaire.item, and SDC's for quantities;
a bound may be computed by an expression (cqf-calculatedValue).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.errors import Detail, IssueType
from service.fhir.elements import choice_key, extension_value, extensions, typed_extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_reference
from service.fhir.terminology import Terminology
from service.fhirpath import Environment, Expression, FhirPathError, Node
from service.fhirpath.errors import Fault
from service.fhirpath.regexes import matches_full
from service.sdc import vocabulary as sdc
from service.sdc.comparison import ordered, value_node
from service.sdc.references import reference_type

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Breach:
    """An answer beyond a limit: `text` says what is allowed, never what was answered."""

    code: IssueType
    detail: Detail
    text: str


Limit = Callable[[str, Any, Environment], Breach | None]
"""Judges one answer, given by its element's name ("valueInteger") and value; None where it keeps within the limit."""

CompileExpression = Callable[[Json], Expression | None]
"""Compiles a FHIR Expression found on the item; None where it cannot be, which is then an issue of its own."""


def compile_limits(definition: Json, compiled: CompileExpression, terminology: Terminology) -> tuple[Limit, ...]:
    """The limits of an item's definition, in no particular order."""
    return tuple(_limits(definition, compiled, terminology))


def _limits(definition: Json, compiled: CompileExpression, terminology: Terminology) -> Iterator[Limit]:
    for url, sign in ((sdc.MIN_VALUE, ">="), (sdc.MAX_VALUE, "<="), (sdc.MIN_QUANTITY, ">="), (sdc.MAX_QUANTITY, "<=")):
        for extension in extensions(definition, url):
            yield from _bounds(extension, sign, compiled)
    longest, shortest = definition.get("maxLength"), typed_extension_value(definition, sdc.MIN_LENGTH, int)
    if longest is not None or shortest is not None:
        yield _length(shortest or 0, longest)
    pattern = typed_extension_value(definition, sdc.REGEX, str)
    if pattern is not None:
        yield _pattern(pattern)
    places = typed_extension_value(definition, sdc.MAX_DECIMAL_PLACES, int)
    if places is not None:
        yield _decimal_places(places)
    units = [extension.get("valueCoding", {}) for extension in extensions(definition, sdc.UNIT_OPTION)]
    value_set = typed_extension_value(definition, sdc.UNIT_VALUE_SET, str)
    if value_set is not None:
        units.extend(terminology.expand(value_set) or ())
    if units:
        yield _unit(units)
    if definition.get("type") == "reference":
        yield _written_reference
    targets = [str(extension.get("valueCode")) for extension in extensions(definition, sdc.REFERENCE_RESOURCE)]
    if targets:
        yield _target(targets)
    if definition.get("type") == "attachment":
        mime_types = [str(extension.get("valueCode")) for extension in extensions(definition, sdc.MIME_TYPE)]
        yield _attachment(mime_types, typed_extension_value(definition, sdc.MAX_SIZE, int, Decimal))


def _bounds(extension: Json, sign: str, compiled: CompileExpression) -> Iterator[Limit]:
    key = choice_key(extension)
    sibling: Json = next((value for name, value in extension.items() if name.startswith("_value")), {})
    for url in (sdc.CALCULATED_VALUE, sdc.CALCULATED_EXPRESSION_VALUE):
        source = extension_value(sibling, url)
        if source is not None:
            expression = compiled(source)
            if expression is not None:
                yield _computed_bound(expression, sign)
            return
    if key is not None:
        yield _fixed_bound(key, extension[key], sign)


def _fixed_bound(key: str, bound: Any, sign: str) -> Limit:
    node = value_node(key, bound)

    def limit(answer_key: str, answer: Any, environment: Environment) -> Breach | None:
        return _beyond(ordered(value_node(answer_key, answer), sign, node), sign, _shown(bound))

    return limit


def _computed_bound(expression: Expression, sign: str) -> Limit:
    def limit(answer_key: str, answer: Any, environment: Environment) -> Breach | None:
        try:
            found = expression.evaluate(environment.variables["context"], environment)
        except FhirPathError as fault:
            return Breach(IssueType.EXCEPTION, Detail.EXPRESSION_FAILED, f"The bound cannot be computed: {fault}")
        if len(found) != 1:
            return None
        held = ordered(value_node(answer_key, answer), sign, found[0])
        return _beyond(held, sign, str(found[0].value if isinstance(found[0], Node) else found[0]))

    return limit


def _beyond(held: bool | None, sign: str, bound: str) -> Breach | None:
    if held is True:
        return None
    wanted = f"The value must be {'at least' if sign == '>=' else 'at most'} {bound}"
    if held is None:
        text = f"{wanted}, but the two cannot be compared. Give it as precisely, in a unit of the same kind."
        return Breach(IssueType.VALUE, Detail.OUT_OF_BOUNDS, text)
    return Breach(IssueType.VALUE, Detail.OUT_OF_BOUNDS, f"{wanted}.")


def _length(shortest: int, longest: int | None) -> Limit:
    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        if not isinstance(answer, str):
            return None
        if longest is not None and len(answer) > longest:
            return Breach(IssueType.TOO_LONG, Detail.TOO_LONG, f"The text must have at most {longest} characters.")
        if len(answer) < shortest:
            return Breach(IssueType.VALUE, Detail.TOO_SHORT, f"The text must have at least {shortest} characters.")
        return None

    return limit


def _pattern(pattern: str) -> Limit:
    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        text = answer if isinstance(answer, str) else str(answer)
        try:
            matched = matches_full(text, pattern)
        except Fault as fault:
            return Breach(
                IssueType.TOO_COSTLY, Detail.EXPRESSION_FAILED, f"The pattern cannot be judged: {fault.reason}."
            )
        return None if matched else Breach(IssueType.VALUE, Detail.PATTERN_MISMATCH, f"The value must match {pattern}.")

    return limit


def _decimal_places(most: int) -> Limit:
    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        number = answer.get("value") if isinstance(answer, dict) else answer
        exponent = number.as_tuple().exponent if isinstance(number, Decimal) else 0
        if isinstance(exponent, int) and -exponent > most:
            return Breach(IssueType.VALUE, Detail.TOO_PRECISE, f"The number must have at most {most} decimal places.")
        return None

    return limit


def _unit(units: Sequence[Json]) -> Limit:
    known = {(unit.get("system"), unit.get("code")) for unit in units}
    names = ", ".join(str(unit.get("display", unit.get("code"))) for unit in units)

    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        if not isinstance(answer, dict) or (answer.get("system"), answer.get("code")) in known:
            return None
        return Breach(
            IssueType.CODE_INVALID, Detail.WRONG_UNIT, f"The unit must be one of {names}, by system and code."
        )

    return limit


def _written_reference(key: str, answer: Any, environment: Environment) -> Breach | None:
    text = answer.get("reference") if isinstance(answer, dict) else None
    if text is None:
        return None
    if not is_reference(text):
        wanted = "Type/id, an absolute URL, urn:uuid:…, or # and the id of a contained resource"
        return Breach(IssueType.VALUE, Detail.INVALID_REFERENCE, f"A reference is written as {wanted}.")
    response = environment.variables["resource"][0]
    contained = response.value.get("contained", []) if isinstance(response, Node) else []
    if text.startswith("#") and len(text) > 1 and text[1:] not in [resource.get("id") for resource in contained]:
        return Breach(IssueType.NOT_FOUND, Detail.INVALID_REFERENCE, "The response contains no resource of this id.")
    return None


def _target(types: Sequence[str]) -> Limit:
    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        if not isinstance(answer, dict):
            return None
        named = answer.get("type") or reference_type(str(answer.get("reference", "")))
        # A contained or logical reference does not tell its type by its text.
        if not named or named in types:
            return None
        return Breach(IssueType.VALUE, Detail.WRONG_TARGET, f"The reference must be to one of {', '.join(types)}.")

    return limit


def _attachment(mime_types: Sequence[str], most_megabytes: int | Decimal | None) -> Limit:
    def limit(key: str, answer: Any, environment: Environment) -> Breach | None:
        if not isinstance(answer, dict):
            return None
        if mime_types and answer.get("contentType") not in mime_types:
            allowed = ", ".join(mime_types)
            return Breach(IssueType.VALUE, Detail.WRONG_CONTENT_TYPE, f"The content type must be one of {allowed}.")
        held = len(b64decode(answer["data"])) if "data" in answer else None
        told = answer.get("size")
        if held is not None and told is not None and held != told:
            return Breach(
                IssueType.VALUE, Detail.SIZE_DIFFERS, "The size differs from that of the data. Give it in bytes."
            )
        size = told if held is None else held
        if most_megabytes is not None and size is not None and size > most_megabytes * _MEGABYTE:
            return Breach(IssueType.TOO_LONG, Detail.TOO_LARGE, f"The attachment must be at most {most_megabytes} MB.")
        return None

    return limit


def _shown(bound: Any) -> str:
    if isinstance(bound, dict):
        return f"{bound.get('value')} {bound.get('unit', bound.get('code', ''))}".strip()
    return str(bound)
