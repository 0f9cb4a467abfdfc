"""Text of an expression to tokens (FHIRPath 2.0, appendix B: the grammar's lexical rules)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.fhirpath.errors import FhirPathError

MAX_LENGTH: Final = 20_000


class Kind(StrEnum):
    """What a token is."""

    SPACE = "space"
    UNCLOSED_COMMENT = "unclosed_comment"
    TIME = "time"
    DATETIME = "datetime"
    NUMBER = "number"
    STRING = "string"
    DELIMITED = "delimited"
    IDENTIFIER = "identifier"
    SPECIAL = "special"
    SYMBOL = "symbol"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is as written, except that strings and delimited identifiers come without quotes and escapes."""

    kind: Kind
    text: str
    position: int


_TIME = r"\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?"
_PATTERNS: Final = (
    (Kind.SPACE, r"(?:[ \t\r\n]|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)+"),
    (Kind.UNCLOSED_COMMENT, r"/\*"),
    (Kind.TIME, rf"@T{_TIME}"),
    (Kind.DATETIME, rf"@\d{{4}}(?:-\d\d(?:-\d\d)?)?(?:T(?:{_TIME}(?:Z|[+-]\d\d:\d\d)?)?)?"),
    (Kind.NUMBER, r"[0-9]+(?:\.[0-9]+)?"),
    (Kind.STRING, r"'(?:[^'\\]|\\.)*'"),
    (Kind.DELIMITED, r"`(?:[^`\\]|\\.)*`"),
    (Kind.IDENTIFIER, r"[A-Za-z_][A-Za-z0-9_]*"),
    (Kind.SPECIAL, r"\$(?:this|index|total)\b"),
    (Kind.SYMBOL, r"!=|!~|<=|>=|[-+*/&|<>=~.,()\[\]{}%]"),
)
_TOKEN: Final = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS), re.ASCII | re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"`": "`", "'": "'", '"': '"', "\\": "\\", "/": "/", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def tokens(text: str) -> Iterator[Token]:
    """The tokens of `text`, ended by one of kind END.

    Raises FhirPathError at a character that begins no token, at an unknown escape, or for a text longer than
    MAX_LENGTH.
    """
    if len(text) > MAX_LENGTH:
        raise FhirPathError(text, MAX_LENGTH, f"the expression is longer than {MAX_LENGTH} characters")
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FhirPathError(text, position, _unreadable(text[position]))
        kind = Kind(str(match.lastgroup))
        if kind is Kind.UNCLOSED_COMMENT:
            raise FhirPathError(text, position, "the comment is not closed with */")
        if kind is not Kind.SPACE:
            yield Token(kind, _unquoted(text, match) if kind in _QUOTED else match[0], position)
        position = match.end()
    yield Token(Kind.END, "", position)


_QUOTED: Final = frozenset({Kind.STRING, Kind.DELIMITED})


def _unreadable(character: str) -> str:
    match character:
        case "'":
            return "the string is not closed with '"
        case "`":
            return "the identifier is not closed with `"
        case "@":
            return "'@' begins a date, a date with time or a time, such as @2026-03-15"
        case "$":
            return "'$' begins $this, $index or $total"
        case _:
            return f"unexpected character {character!r}"


def _unquoted(text: str, match: re.Match[str]) -> str:
    def unescaped(escape: re.Match[str]) -> str:
        code, character = escape.groups()
        if code is not None:
            return chr(int(code, 16))
        if character not in _ESCAPED:
            raise FhirPathError(text, match.start() + 1 + escape.start(), f"unknown escape \\{character}")
        return _ESCAPED[character]

    content = match[0][1:-1]
    if "\\" not in content:
        return content
    try:
        # A character beyond U+FFFF is written as the two halves of its surrogate pair.
        return _ESCAPE.sub(unescaped, content).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as fault:
        raise FhirPathError(text, match.start(), "half of a surrogate pair is no text") from fault
