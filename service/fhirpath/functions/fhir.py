"""Navigation of trees, types, the clock (FHIRPath 2.0, sections 5.8, 5.9 and 6.3), and what FHIR R4 adds."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions, Style
from service.fhirpath.model import is_type
from service.fhirpath.nodes import Node, children, navigate
from service.fhirpath.quantity import Quantity, compare
from service.fhirpath.temporal import DateTime
from service.fhirpath.values import (
    EMPTY,
    Collection,
    Item,
    TypeInfo,
    is_number,
    one,
    string,
    system_type,
    system_value,
)

_CORE_PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/"
_ORDINALS: Final = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        "http://hl7.org/fhir/StructureDefinition/questionnaire-ordinalValue",
    }
)


def children_of(scope: Scope, items: Collection) -> Collection:
    """All elements directly below the items."""
    scope.spend(len(items))
    return [child for item in items if isinstance(item, Node) for child in children(item)]


def descendants(scope: Scope, items: Collection) -> Collection:
    """All elements below the items, level by level."""
    found: list[Item] = []
    level = children_of(scope, items)
    while level:
        found.extend(level)
        level = children_of(scope, level)
    return found


def now(scope: Scope, items: Collection) -> Collection:
    """The environment's moment, to the millisecond."""
    return (DateTime.of(scope.environment.now),)


def today(scope: Scope, items: Collection) -> Collection:
    """The environment's date, in its own offset."""
    return (DateTime.of(scope.environment.now).date(),)


def time_of_day(scope: Scope, items: Collection) -> Collection:
    """The environment's time of day, in its own offset."""
    time = DateTime.of(scope.environment.now).time()
    return EMPTY if time is None else (time,)


def type_of(items: Collection) -> Collection:
    """The namespace and the name of each item's type."""
    return [TypeInfo("FHIR" if isinstance(item, Node) else "System", _name(item)) for item in items]


def extension(items: Collection, url: Collection) -> Collection:
    """The extensions with a URL, of elements and of primitives."""
    wanted = string(url)
    return [found for found in navigate(items, "extension") if _member(found, "url") == wanted]


def has_value(items: Collection) -> bool:
    """True for one primitive that has a value, not extensions alone."""
    return len(items) == 1 and _primitive_value(items[0]) is not None


def get_value(items: Collection) -> Collection:
    """The System value of one primitive; of anything else nothing."""
    value = _primitive_value(items[0]) if len(items) == 1 else None
    return EMPTY if value is None else (value,)


def resolve(scope: Scope, items: Collection) -> Collection:
    """The resources that references, canonicals or URIs name: contained, in the same Bundle, or by the port.

    A reference that leads nowhere is left out, as FHIR R4 demands.
    """
    found = []
    for item in items:
        reference = _reference(item)
        resource = None if reference is None else _resolved(scope, reference)
        if resource is not None:
            found.append(resource)
    return found


def conforms_to(items: Collection, profile: Collection) -> bool | None:
    """True when the item is of the R4 type whose own profile is named. Other profiles are an error: not known here."""
    url = string(profile)
    if not items or url is None:
        return None
    name = url.removeprefix(_CORE_PROFILE)
    if len(items) > 1 or name == url or not is_type(name):
        raise Fault("conformsTo() knows the profiles of R4's own types only, of one item")
    item = items[0]
    return isinstance(item, Node) and item.definition.is_a(name)


def member_of(scope: Scope, items: Collection, value_set: Collection) -> bool | None:
    """True when the code, Coding or CodeableConcept is in the value set, which the environment's port must know."""
    url = string(value_set)
    if not items or url is None:
        return None
    if len(items) > 1:
        raise Fault(f"memberOf() expects one item at most, found {len(items)}")
    if scope.environment.member_of is None:
        raise Fault("memberOf() needs value sets, and this environment has none")
    answer = scope.environment.member_of(items[0], url)
    if answer is None:
        raise Fault(f"the value set {url} is not known")
    return answer


def weight(scope: Scope, items: Collection) -> Collection:
    """The numbers of codes: from the extension on the Coding, else from the environment's port."""
    found: list[Item] = []
    for item in items:
        number = _own_weight(item)
        if number is None and scope.environment.weight is not None:
            number = scope.environment.weight(item)
        if number is not None:
            found.append(number)
    return found


def comparable(items: Collection, other: Collection) -> bool | None:
    """True when the two quantities have units of one kind."""
    left, right = one(items), one(other)
    if left is None or right is None:
        return None
    if not isinstance(left, Quantity) or not isinstance(right, Quantity):
        raise Fault("comparable() expects two quantities")
    return compare(left, right) is not None


def _own_weight(item: Item) -> Decimal | None:
    for found in navigate((item,), "extension"):
        value = _member(found, "valueDecimal")
        if _member(found, "url") in _ORDINALS and is_number(value):
            return Decimal(value)
    return None


def _member(node: Node, name: str) -> Any:
    return node.value.get(name) if isinstance(node.value, dict) else None


def _name(item: Item) -> str:
    return item.type if isinstance(item, Node) else system_type(item)


def _primitive_value(item: Item) -> Item | None:
    value = system_value(item)
    is_complex = isinstance(item, Node) and item.definition.system is None
    return None if is_complex else value


def _reference(item: Item) -> str | None:
    content: Any = item.value if isinstance(item, Node) else item
    if isinstance(content, dict):
        content = content.get("reference")
    return content if isinstance(content, str) else None


def _resolved(scope: Scope, reference: str) -> Node | None:
    for name in ("resource", "rootResource"):
        try:
            holders = scope.variable(name)
        except Fault:
            continue
        for holder in holders:
            found = _within(holder, reference) if isinstance(holder, Node) else None
            if found is not None:
                return found
    port = scope.environment.resolve
    return None if port is None or reference.startswith("#") else port(reference)


def _within(resource: Node, reference: str) -> Node | None:
    if reference == "#":
        return resource
    if reference.startswith("#"):
        return next((c for c in navigate((resource,), "contained") if _member(c, "id") == reference[1:]), None)
    for entry in navigate((resource,), "entry"):
        content = _member(entry, "resource")
        if isinstance(content, dict) and reference in (
            _member(entry, "fullUrl"),
            f"{content.get('resourceType')}/{content.get('id')}",
        ):
            return Node.of_resource(content)
    return None


_BOOLEAN: Final = "System.Boolean"
FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "children": Function(children_of, style=Style.SCOPED),
        "descendants": Function(descendants, style=Style.SCOPED),
        "now": Function(now, result="System.DateTime", style=Style.SCOPED),
        "today": Function(today, result="System.Date", style=Style.SCOPED),
        "timeOfDay": Function(time_of_day, result="System.Time", style=Style.SCOPED),
        "type": Function(type_of, result="System.TypeInfo"),
        "extension": Function(extension, 1, 1, "Extension"),
        "hasValue": Function(has_value, result=_BOOLEAN, predicate=True),
        "getValue": Function(get_value),
        "resolve": Function(resolve, style=Style.SCOPED),
        "conformsTo": Function(conforms_to, 1, 1, _BOOLEAN, predicate=True),
        "memberOf": Function(member_of, 1, 1, _BOOLEAN, Style.SCOPED, predicate=True),
        "ordinal": Function(weight, result="System.Decimal", style=Style.SCOPED),
        "weight": Function(weight, result="System.Decimal", style=Style.SCOPED),
        "comparable": Function(comparable, 1, 1, _BOOLEAN, predicate=True),
    }
)
