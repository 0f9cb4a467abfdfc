"""String manipulation (FHIRPath 2.0, section 5.6; encode, escape and their like: section 5.6.13 of the draft).

All of them: of nothing, nothing; of several items or another type than String, an error.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from service.fhirpath import regexes
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions
from service.fhirpath.values import (
    EMPTY,
    MAX_STRING_LENGTH,
    Collection,
    boolean,
    integer,
    one,
    string,
    system_type,
    system_value,
)

_ESCAPE_OR_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)


def bounded(text: str) -> str:
    """`text`, unless it is longer than a FHIR string may be: then Fault."""
    if len(text) > MAX_STRING_LENGTH:
        raise Fault(f"a string grows beyond {MAX_STRING_LENGTH} characters")
    return text


def of_strings(operation: Callable[..., str | int | bool | list[str] | None]) -> Callable[..., Collection]:
    """A function over collections from one over strings: any empty operand gives an empty result."""

    def apply(items: Collection, *arguments: Collection) -> Collection:
        operands = [string(operand) for operand in (items, *arguments)]
        if None in operands:
            return EMPTY
        result = operation(*operands)
        if result is None:
            return EMPTY
        if isinstance(result, bool):
            return boolean(result)
        return result if isinstance(result, list) else (result,)

    return apply


def substring(items: Collection, start: Collection, length: Collection | None = None) -> Collection:
    """From index `start` (0 is the first character), `length` characters or to the end; empty outside of the string."""
    text, begin = string(items), integer(start)
    size = None if length is None else integer(length)
    if text is None or begin is None or not 0 <= begin < len(text):
        return EMPTY
    return (text[begin:] if size is None else text[begin : begin + max(0, size)],)


def replace(text: str, pattern: str, substitution: str) -> str:
    """Every `pattern` replaced; an empty pattern stands before, between and after all characters."""
    if len(text) * (len(substitution) + 1) > 16 * MAX_STRING_LENGTH:
        raise Fault("the result of replace() may be too long")
    return bounded(text.replace(pattern, substitution))


def join(items: Collection, separator: Collection = EMPTY) -> Collection:
    """All strings in one, with the separator between them; empty of no items."""
    texts = []
    for item in items:
        value = system_value(item)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Fault(f"join() expects Strings, found {system_type(value)}")
        texts.append(value)
    if not texts:
        return EMPTY
    return (bounded((string(separator) or "").join(texts)),)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators; the single characters for an empty separator."""
    return text.split(separator) if separator else list(text)


def escape(text: str, target: str) -> str | None:
    """`text` as the inside of an HTML text or a JSON string; None for another target."""
    match target:
        case "html":
            return html.escape(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
    return None


def unescape(text: str, target: str) -> str | None:
    """The reverse of `escape`."""
    match target:
        case "html":
            return html.unescape(text)
        case "json":
            return _unescaped_json(text)
    return None


def _unescaped_json(text: str) -> str:
    # A bare quote is let pass: it can only have been meant as itself.
    quoted = _ESCAPE_OR_QUOTE.sub(lambda found: r"\"" if found[0] == '"' else found[0], text)
    try:
        return str(json.loads(f'"{quoted}"', strict=False))
    except ValueError:
        raise Fault("unescape('json') expects the inside of a JSON string") from None


def encode(text: str, form: str) -> str | None:
    """The UTF-8 bytes in hex, base64 or urlbase64; None for another form."""
    encoders: Mapping[str, Callable[[bytes], bytes]] = {
        "hex": binascii.hexlify,
        "base64": base64.b64encode,
        "urlbase64": base64.urlsafe_b64encode,
    }
    encoder = encoders.get(form)
    return None if encoder is None else encoder(text.encode("utf-8", "surrogatepass")).decode("ascii")


def decode(text: str, form: str) -> str | None:
    """The reverse of `encode`."""
    decoders: Mapping[str, Callable[[str], bytes]] = {
        "hex": bytes.fromhex,
        "base64": lambda coded: base64.b64decode(coded, validate=True),
        "urlbase64": lambda coded: base64.b64decode(coded, altchars=b"-_", validate=True),
    }
    decoder = decoders.get(form)
    if decoder is None:
        return None
    try:
        return decoder(text).decode("utf-8")
    except ValueError:
        raise Fault(f"decode('{form}') found no {form} of a text") from None


def concatenate(left: Collection, right: Collection) -> Collection:
    """`left & right`: an empty operand counts as the empty string."""
    return (bounded((_text(left) or "") + (_text(right) or "")),)


def _text(operand: Collection) -> str | None:
    value = one(operand)
    if value is None or isinstance(value, str):
        return value
    raise Fault(f"'&' expects Strings, found {system_type(value)}")


_STRING: Final = "System.String"
_BOOLEAN: Final = "System.Boolean"
_INTEGER: Final = "System.Integer"


def _function(operation: Callable[..., Any], arguments: int, result: str) -> Function:
    return Function(of_strings(operation), arguments, arguments, result)


FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "indexOf": _function(str.find, 1, _INTEGER),
        "lastIndexOf": _function(str.rfind, 1, _INTEGER),
        "substring": Function(substring, 1, 2, _STRING),
        "startsWith": _function(str.startswith, 1, _BOOLEAN),
        "endsWith": _function(str.endswith, 1, _BOOLEAN),
        "contains": _function(str.__contains__, 1, _BOOLEAN),
        "upper": _function(str.upper, 0, _STRING),
        "lower": _function(str.lower, 0, _STRING),
        "trim": _function(str.strip, 0, _STRING),
        "length": _function(len, 0, _INTEGER),
        "toChars": _function(list, 0, _STRING),
        "replace": _function(replace, 2, _STRING),
        "matches": _function(regexes.matches, 1, _BOOLEAN),
        "matchesFull": _function(regexes.matches_full, 1, _BOOLEAN),
        "replaceMatches": _function(regexes.replace_matches, 2, _STRING),
        "split": _function(split, 1, _STRING),
        "join": Function(join, 0, 1, _STRING),
        "escape": _function(escape, 1, _STRING),
        "unescape": _function(unescape, 1, _STRING),
        "encode": _function(encode, 1, _STRING),
        "decode": _function(decode, 1, _STRING),
    }
)
