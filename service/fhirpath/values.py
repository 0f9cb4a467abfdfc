"""Items and collections, and how an element becomes a value of FHIRPath's System types.

FHIRPath 2.0: section 4.5 (singleton evaluation of collections), section 5.5 (conversion);
FHIR R4, page FHIRPath: which System type each primitive has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, Final

from service.fhirpath.errors import Fault
from service.fhirpath.nodes import Node
from service.fhirpath.quantity import Quantity, of_fhir
from service.fhirpath.temporal import Date, DateTime, Time

MAX_INTEGER: Final = 2**31 - 1
MIN_INTEGER: Final = -(2**31)
MAX_STRING_LENGTH: Final = 1024 * 1024
"""FHIR's own bound of a string, in characters."""


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What `type()` answers."""

    MEMBERS: ClassVar[frozenset[str]] = frozenset({"namespace", "name"})

    namespace: str
    name: str


System = bool | int | Decimal | str | Date | DateTime | Time | Quantity | TypeInfo
"""A value of a System type."""
Item = Node | System
Collection = Sequence[Item]
"""Items in order. Never changed once made: closures share them."""

EMPTY: Final[Collection] = ()
TRUE: Final[Collection] = (True,)
FALSE: Final[Collection] = (False,)


def boolean(truth: bool | None) -> Collection:
    """A three-valued result as a collection; None is empty."""
    if truth is None:
        return EMPTY
    return TRUE if truth else FALSE


def system_value(item: Item) -> Item | None:
    """`item` as a value of a System type; a complex element as it is; None for a primitive element without a value.

    Raises Fault when the JSON value is not one of the element's type.
    """
    if type(item) is not Node:
        return item
    system = item.definition.system
    if system is None:
        return _quantity(item) if item.definition.is_quantity else item
    value = item.value
    if value is None:
        return None
    try:
        return _CONVERSIONS[system](value)
    except (Fault, TypeError, AttributeError):
        raise Fault(f"an element of type {item.type} holds no valid {item.type}") from None


def one(collection: Collection) -> Item | None:
    """The only item as a System value; None when there is none. Raises Fault when there are several."""
    if not collection:
        return None
    if len(collection) > 1:
        raise Fault(f"expected one item at most, found {len(collection)}")
    return system_value(collection[0])


def truth(collection: Collection) -> bool | None:
    """The collection as a Boolean: None when empty; a single item of another type counts as true (section 4.5)."""
    if not collection:
        return None
    found = one(collection)
    if found is None:
        return None
    return found if isinstance(found, bool) else True


def string(collection: Collection) -> str | None:
    """The only item, a String; None when empty. Raises Fault otherwise."""
    found = one(collection)
    if found is None or isinstance(found, str):
        return found
    raise Fault(f"expected a String, found {system_type(found)}")


def integer(collection: Collection) -> int | None:
    """The only item, an Integer; None when empty. Raises Fault otherwise."""
    found = one(collection)
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise Fault(f"expected an Integer, found {system_type(found)}")


def is_number(item: object) -> bool:
    """True for an Integer or a Decimal."""
    return isinstance(item, int | Decimal) and not isinstance(item, bool)


def system_type(item: Item) -> str:
    """Name of the System type of a value, or of the R4 type of a complex element."""
    if isinstance(item, Node):
        return item.type
    return _SYSTEM_TYPES[type(item)]


def type_name(item: Item) -> str:
    """Name of an item's type: R4's (`dateTime`, `QuestionnaireResponse.item`) or FHIRPath's (`DateTime`)."""
    return item.type if isinstance(item, Node) else _SYSTEM_TYPES[type(item)]


def json_value(item: Item) -> Any:
    """An item as FHIR JSON: an element's own JSON, not copied; dates and times as text; a Quantity as R4's Quantity."""
    match item:
        case Node():
            return item.value
        case Date() | DateTime() | Time():
            return str(item)
        case Quantity():
            return _quantity_json(item)
        case TypeInfo():
            return f"{item.namespace}.{item.name}"
        case _:
            return item


def _quantity_json(quantity: Quantity) -> dict[str, Any]:
    if quantity.unit == "1":
        return {"value": quantity.value}
    code = quantity.ucum_code
    return {"value": quantity.value, "unit": quantity.unit, "system": "http://unitsofmeasure.org", "code": code}


def _quantity(node: Node) -> Item | None:
    content = node.value
    if not isinstance(content, dict) or "comparator" in content:
        return node
    value = content.get("value")
    if value is None:
        return None
    return of_fhir(_decimal(value), content.get("code"), content.get("system"), content.get("unit"))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _decimal(value: Any) -> Decimal:
    if not is_number(value):
        raise Fault("a decimal is not a JSON number")
    return Decimal(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Item]]] = MappingProxyType(
    {
        "Boolean": _boolean,
        "Integer": _integer,
        "Decimal": _decimal,
        "String": _string,
        "Date": lambda value: Date.parse(_string(value)),
        "DateTime": lambda value: DateTime.parse(_string(value)),
        "Time": lambda value: Time.parse(_string(value)),
    }
)
_SYSTEM_TYPES: Final[Mapping[type, str]] = MappingProxyType(
    {
        bool: "Boolean",
        int: "Integer",
        Decimal: "Decimal",
        str: "String",
        Date: "Date",
        DateTime: "DateTime",
        Time: "Time",
        Quantity: "Quantity",
        TypeInfo: "TypeInfo",
    }
)
SYSTEM_TYPE_NAMES: Final = frozenset(_SYSTEM_TYPES.values()) | {"Any"}
