"""Units of measure: enough of UCUM (https://ucum.org) to convert the units met in clinical data.

A unit is an expression such as `mg/dL`, `10*9/L`, `kg.m/s2` or `{tablets}`, read to a factor and powers of base
units. `mol` is a base unit here, so that an amount of substance never equals a plain number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Final

Powers = frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Unit:
    """`value * factor + offset` is the value in the base units given by `powers`."""

    factor: Fraction
    powers: Powers
    offset: Fraction = Fraction(0)


_PREFIXES: Final[Mapping[str, Fraction]] = MappingProxyType(
    {
        prefix: Fraction(10) ** exponent
        for prefix, exponent in (
            *(("Y", 24), ("Z", 21), ("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("h", 2), ("da", 1)),
            *(("d", -1), ("c", -2), ("m", -3), ("u", -6), ("n", -9), ("p", -12), ("f", -15), ("a", -18)),
        )
    }
)
_BASE: Final = ("m", "s", "g", "rad", "K", "C", "cd", "mol", "eq", "osm", "[iU]", "[arb'U]", "[IU]", "[pH]")
_METRIC: Final[Mapping[str, str]] = MappingProxyType(
    {
        "l": "dm3",
        "L": "dm3",
        "Hz": "s-1",
        "N": "kg.m/s2",
        "Pa": "N/m2",
        "J": "N.m",
        "W": "J/s",
        "A": "C/s",
        "V": "J/C",
        "F": "C/V",
        "Ohm": "V/A",
        "S": "Ohm-1",
        "Wb": "V.s",
        "T": "Wb/m2",
        "H": "Wb/A",
        "lm": "cd",
        "lx": "lm/m2",
        "Bq": "s-1",
        "Gy": "J/kg",
        "Sv": "J/kg",
        "kat": "mol/s",
        "U": "umol/min",
        "bar": "100000.Pa",
        "cal": "4184:1000.J",
        "m[Hg]": "133322:1.Pa",
        "m[H2O]": "980665:100.Pa",
        "t": "1000.kg",
    }
)
_PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "10*": "10",
        "10^": "10",
        "%": "1:100",
        "[ppth]": "1:1000",
        "[ppm]": "1:1000000",
        "min": "60.s",
        "h": "60.min",
        "d": "24.h",
        "wk": "7.d",
        "a": "36525:100.d",
        "mo": "36525:1200.d",
        "deg": "314159265358979323846:18000000000000000000000.rad",
        "[in_i]": "254:100.cm",
        "[ft_i]": "12.[in_i]",
        "[yd_i]": "3.[ft_i]",
        "[mi_i]": "5280.[ft_i]",
        "[lb_av]": "45359237:100000.g",
        "[oz_av]": "1:16.[lb_av]",
        "[stone_av]": "14.[lb_av]",
        "[gr]": "6479891:100000000.g",
        "[gal_us]": "231.[in_i]3",
        "[qt_us]": "1:4.[gal_us]",
        "[pt_us]": "1:8.[gal_us]",
        "[cup_us]": "1:16.[gal_us]",
        "[foz_us]": "1:128.[gal_us]",
        "[tbs_us]": "1:256.[gal_us]",
        "[tsp_us]": "1:768.[gal_us]",
        "[drp]": "1:20.mL",
        "[psi]": "6894757293168:1000000000.Pa",
        "[Cal]": "kcal",
    }
)
_SPECIAL: Final[Mapping[str, Unit]] = MappingProxyType(
    {
        "Cel": Unit(Fraction(1), frozenset({("K", 1)}), Fraction(27315, 100)),
        "[degF]": Unit(Fraction(5, 9), frozenset({("K", 1)}), Fraction(45967, 180)),
    }
)
_COMPONENT: Final = re.compile(
    r"(\d+)(?::(\d+))?(?=[./)]|$)"  # a number; n:d is a ratio, of this table only
    r"|((?:10[*^]|\[[^\]]+\]|[A-Za-z%])+)([+-]?\d+)?(?=[./)]|$)"  # a symbol and its power
)
_ANNOTATION: Final = re.compile(r"\{[!-z|~]*\}")
_MAX_LENGTH: Final = 100
_MAX_POWER: Final = 20


@lru_cache(maxsize=1024)
def unit(code: str) -> Unit | None:
    """The unit written as `code`, or None when it is not known here."""
    if len(code) > _MAX_LENGTH:
        return None
    if code in _SPECIAL:
        return _SPECIAL[code]
    text = _ANNOTATION.sub("", code) or "1"
    reader = _Reader(text)
    try:
        return reader.whole()
    except _Unknown:
        return None


class _Unknown(Exception):
    """The text is no unit known here."""


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Unit:
        found = self._term()
        if self._at < len(self._text):
            raise _Unknown
        return found

    def _term(self) -> Unit:
        found = _power(self._component(), -1) if self._skip("/") else self._component()
        while self._at < len(self._text) and self._text[self._at] in "./":
            sign = -1 if self._text[self._at] == "/" else 1
            self._at += 1
            found = _product(found, _power(self._component(), sign))
        return found

    def _component(self) -> Unit:
        if self._skip("("):
            inner = self._term()
            if not self._skip(")"):
                raise _Unknown
            return inner
        match = _COMPONENT.match(self._text, self._at)
        if match is None:
            raise _Unknown
        self._at = match.end()
        numerator, denominator, symbol, power = match.groups()
        if symbol is None:
            if int(denominator or 1) == 0:
                raise _Unknown
            return Unit(Fraction(int(numerator), int(denominator or 1)), frozenset())
        return _power(_atom(symbol), int(power or 1))

    def _skip(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False


@lru_cache(maxsize=1024)
def _atom(symbol: str) -> Unit:
    if symbol in _PLAIN:
        return _Reader(_PLAIN[symbol]).whole()
    found = _metric(symbol)
    if found is not None:
        return found
    for length in (1, 2):
        prefix = _PREFIXES.get(symbol[:length])
        found = _metric(symbol[length:]) if prefix is not None else None
        if prefix is not None and found is not None:
            return Unit(prefix * found.factor, found.powers)
    raise _Unknown


def _metric(symbol: str) -> Unit | None:
    if symbol in _BASE:
        return Unit(Fraction(1), frozenset({(symbol, 1)}))
    return _Reader(_METRIC[symbol]).whole() if symbol in _METRIC else None


def _product(left: Unit, right: Unit) -> Unit:
    powers = dict(left.powers)
    for base, power in right.powers:
        powers[base] = powers.get(base, 0) + power
    return Unit(left.factor * right.factor, frozenset((base, power) for base, power in powers.items() if power))


def _power(base: Unit, exponent: int) -> Unit:
    if abs(exponent) > _MAX_POWER or not base.factor:
        raise _Unknown
    return Unit(base.factor**exponent, frozenset((name, power * exponent) for name, power in base.powers))
