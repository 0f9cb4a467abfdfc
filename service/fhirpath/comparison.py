"""Equality, equivalence and order of items and collections (FHIRPath 2.0, sections 6.1 and 6.2)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from service.fhirpath import quantity as quantities
from service.fhirpath import temporal
from service.fhirpath.errors import Fault
from service.fhirpath.nodes import Node, navigate
from service.fhirpath.quantity import Quantity
from service.fhirpath.temporal import Date, DateTime, Time
from service.fhirpath.values import Collection, Item, is_number, one, system_type, system_value

_WHITE_SPACE: Final = re.compile(r"\s")
_CONTEXT: Final = Context(prec=200)


def equal(left: Collection, right: Collection) -> bool | None:
    """`left = right`: item by item, in order; None where a side is empty or the precision known does not tell."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    result: bool | None = True
    for one_item, other in zip(left, right, strict=True):
        same = equal_items(one_item, other)
        if same is False:
            return False
        if same is None:
            result = None
    return result


def equal_items(left: Item, right: Item) -> bool | None:
    """True, False, or None where partial dates, or quantities of unlike units, do not tell."""
    one_value, other = system_value(left), system_value(right)
    if one_value is None or other is None:
        return None
    if isinstance(one_value, bool) or isinstance(other, bool):
        return one_value is other
    if isinstance(one_value, str) and isinstance(other, str):
        return one_value == other
    if is_number(one_value) and is_number(other):
        return one_value == other
    if isinstance(one_value, Node) and isinstance(other, Node):
        return _structure(one_value.value) == _structure(other.value)
    order = _order(one_value, other)
    if order is _UNLIKE:
        return one_value == other
    return None if order is None else order == 0


def order(left: Collection, right: Collection) -> int | None:
    """-1, 0 or 1 as the only item of `left` is less than, equal to or greater than that of `right`.

    None where a side is empty, or what is known does not tell. Raises Fault for several items, or types without a
    common order.
    """
    one_value, other = one(left), one(right)
    if one_value is None or other is None:
        return None
    return order_values(one_value, other)


def order_values(left: Item, right: Item) -> int | None:
    """As `order`, of two values of System types."""
    if (isinstance(left, str) and isinstance(right, str)) or (is_number(left) and is_number(right)):
        return (left > right) - (left < right)  # type: ignore[operator]
    found = _order(left, right)
    if found is _UNLIKE:
        raise Fault(f"cannot compare {system_type(left)} with {system_type(right)}")
    return found


_UNLIKE = 2
"""In place of an order: the two types are never compared."""


def _order(left: Item, right: Item) -> int | None:
    match left, right:
        case Time(), Time():
            return temporal.compare(left, right)
        case Date() | DateTime(), Date() | DateTime():
            return temporal.compare(left, right)
        case Quantity(), Quantity():
            return quantities.compare(left, right)
        case Quantity(), int() | Decimal() if is_number(right):
            return quantities.compare(left, Quantity(Decimal(right)))
        case int() | Decimal(), Quantity() if is_number(left):
            return quantities.compare(Quantity(Decimal(left)), right)
        case _:
            return _UNLIKE


def contains(collection: Iterable[Item], item: Item) -> bool:
    """True when `item` certainly equals an item of `collection`."""
    if type(item) is str:
        return _contains_text(collection, item)
    return any(equal_items(other, item) is True for other in collection)


def _contains_text(collection: Iterable[Item], text: str) -> bool:
    for item in collection:
        # Codes and strings, which are nearly all that packs look through, need no conversion.
        if type(item) is Node and item.definition.system == "String" and type(item.value) is str:
            if item.value == text:
                return True
        elif system_value(item) == text:
            return True
    return False


def equivalent(left: Collection, right: Collection) -> bool:
    """`left ~ right`: the same items in any order, each equivalent; two empty collections are equivalent."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        place = next((place for place, other in enumerate(rest) if equivalent_items(item, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def equivalent_items(left: Item, right: Item) -> bool:
    """Equal but for case and kind of white space, digits beyond the less precise decimal, order of children."""
    one_value, other = system_value(left), system_value(right)
    if one_value is None or other is None:
        return one_value is other
    if isinstance(one_value, bool) or isinstance(other, bool):
        return one_value is other
    if isinstance(one_value, str) and isinstance(other, str):
        return _plain(one_value) == _plain(other)
    if is_number(one_value) and is_number(other):
        return _equivalent_numbers(Decimal(one_value), Decimal(other))  # type: ignore[arg-type]
    if isinstance(one_value, Quantity) and isinstance(other, Quantity):
        return _equivalent_quantities(one_value, other)
    if isinstance(one_value, Node) and isinstance(other, Node):
        return _equivalent_nodes(one_value, other)
    return equal_items(one_value, other) is True


def _plain(text: str) -> str:
    return _WHITE_SPACE.sub(" ", text.casefold())


def _equivalent_numbers(left: Decimal, right: Decimal) -> bool:
    places = min(_places(left), _places(right))
    unit = Decimal(1).scaleb(-places)
    return left.quantize(unit, ROUND_HALF_UP, _CONTEXT) == right.quantize(unit, ROUND_HALF_UP, _CONTEXT)


def _equivalent_quantities(left: Quantity, right: Quantity) -> bool:
    one_value, other = quantities.definite(left), quantities.definite(right)
    converted = quantities.convert(other, one_value)
    if converted is None:
        return one_value == other
    return _equivalent_numbers(one_value.value, quantities.decimal_of(converted))


def _places(number: Decimal) -> int:
    return max(0, -int(number.normalize().as_tuple().exponent))


def _equivalent_nodes(left: Node, right: Node) -> bool:
    mine, theirs = _children_by_type(left), _children_by_type(right)
    return mine.keys() == theirs.keys() and all(equivalent(mine[name], theirs[name]) for name in mine)


def _children_by_type(node: Node) -> Mapping[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for name in node.definition.elements:
        if name != "id":
            found[name] = navigate((node,), name)
    return {name: items for name, items in found.items() if items}


def key(item: Item) -> Hashable:
    """Something hashable that is the same exactly for items that certainly equal each other."""
    value = system_value(item)
    # An element without a value equals no other.
    return ("nothing", id(item)) if value is None else _value_key(value)


def _value_key(value: Item) -> Hashable:
    match value:
        case bool():
            return ("boolean", value)
        case int() | Decimal():
            return ("number", value)
        case Date():
            return ("moment", None, value.parts())
        case DateTime():
            return ("moment", value.offset is not None, temporal.instant_parts(value))
        case Quantity():
            return _quantity_key(value)
        case Node():
            return ("node", _structure(value.value))
        case _:
            return value


class Seen:
    """Items met so far, by equality. Complex elements are compared only where their own texts are the same."""

    __slots__ = ("_met",)

    def __init__(self) -> None:
        self._met: dict[Hashable, Item | set[Hashable]] = {}

    def is_new(self, item: Item) -> bool:
        """True when no equal item was met before; from now on it counts as met."""
        sketch = _sketch(item)
        if sketch not in self._met:
            self._met[sketch] = item
            return True
        met = self._met[sketch]
        if not isinstance(met, set):
            met = self._met[sketch] = {key(met)}
        before = len(met)
        met.add(key(item))
        return len(met) > before


def _sketch(item: Item) -> Hashable:
    """The same for items that equal each other, and cheap: of a complex element its own texts."""
    value = system_value(item)
    if value is None:
        return ("nothing", id(item))
    if isinstance(value, Node) and isinstance(value.value, dict):
        return frozenset(member for member in value.value.items() if type(member[1]) is str)
    return _value_key(value)


def distinct(items: Collection) -> Collection:
    """The items without repetitions, in the order of their first."""
    if len(items) < 2:
        return items
    seen = Seen()
    return [item for item in items if seen.is_new(item)]


def _quantity_key(value: Quantity) -> Hashable:
    if value.unit == "1":
        return ("number", value.value)
    if quantities.is_indefinite(value):
        return ("months", quantities.months(value))
    return ("quantity", quantities.measure(value) or (value.value, value.unit))


def _structure(content: Any) -> Hashable:
    if isinstance(content, dict):
        return frozenset((name, _structure(child)) for name, child in content.items())
    if isinstance(content, list):
        return tuple(map(_structure, content))
    return ("boolean", content) if isinstance(content, bool) else content
