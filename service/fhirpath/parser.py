"""Tokens to a syntax tree (FHIRPath 2.0, appendix B), by precedence climbing. Anything left over is an error."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NoReturn

from service.fhirpath.errors import Fault, FhirPathError
from service.fhirpath.lexer import Kind, Token, tokens
from service.fhirpath.quantity import CALENDAR_UNITS, Quantity
from service.fhirpath.syntax import (
    Binary,
    Call,
    Index,
    Indexer,
    Literal,
    Member,
    Operator,
    Polarity,
    Syntax,
    This,
    Total,
    TypeName,
    TypeOperation,
    Variable,
    children,
)
from service.fhirpath.temporal import Date, DateTime, Time
from service.fhirpath.values import MAX_INTEGER, Item

MAX_DEPTH: Final = 150
"""Levels of a syntax tree: enough for people, and far from Python's own limit of recursion."""

_PRECEDENCE: Final[dict[str, int]] = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<": 6,
    "<=": 6,
    ">": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
_NAME_TOO: Final = frozenset({"as", "contains", "in", "is"})
_KEYWORDS: Final = frozenset(name for name in _PRECEDENCE if name.isalpha()) | {"true", "false"}


def parse(text: str) -> Syntax:
    """The syntax tree of `text`. Raises FhirPathError, with the position, where it is no FHIRPath expression."""
    return _Parser(text).entire_expression()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._nesting = 0

    def entire_expression(self) -> Syntax:
        syntax = self._expression(0)
        if self._next.kind is not Kind.END:
            self._refuse(f"unexpected '{self._next.text}' after the expression")
        self._check_depth(syntax)
        return syntax

    def _expression(self, minimum: int) -> Syntax:
        self._nesting += 1
        if self._nesting > MAX_DEPTH:
            self._refuse("the expression is nested too deeply")
        left = self._operand()
        while (precedence := self._precedence()) > minimum:
            operator = self._take()
            if operator.text in ("is", "as"):
                type_name = self._type_name()
                left = TypeOperation(operator.position, operator.text == "as", left, type_name)
            else:
                right = self._expression(precedence)
                left = Binary(operator.position, Operator(operator.text), left, right)
        self._nesting -= 1
        return left

    def _precedence(self) -> int:
        if self._next.kind in (Kind.SYMBOL, Kind.IDENTIFIER):
            return _PRECEDENCE.get(self._next.text, 0)
        return 0

    def _operand(self) -> Syntax:
        signs = []
        while self._next_is("+") or self._next_is("-"):
            signs.append(self._take())
        syntax = self._steps(self._term())
        for sign in reversed(signs):
            syntax = Polarity(sign.position, sign.text == "-", syntax)
        return syntax

    def _steps(self, syntax: Syntax) -> Syntax:
        while True:
            if self._next_is("."):
                self._take()
                syntax = self._invocation(syntax)
            elif self._next_is("["):
                position = self._take().position
                index = self._expression(0)
                self._expect("]")
                syntax = Indexer(position, syntax, index)
            else:
                return syntax

    def _term(self) -> Syntax:
        token = self._next
        match token.kind:
            case Kind.STRING:
                return Literal(self._take().position, (token.text,))
            case Kind.NUMBER:
                return self._number()
            case Kind.TIME:
                return self._temporal(Time.parse, token.text[2:])
            case Kind.DATETIME:
                return self._temporal(DateTime.parse if "T" in token.text else Date.parse, token.text[1:])
            case Kind.IDENTIFIER if token.text in ("true", "false"):
                return Literal(self._take().position, (token.text == "true",))
            case Kind.IDENTIFIER | Kind.DELIMITED | Kind.SPECIAL:
                return self._invocation(None)
            case Kind.SYMBOL if token.text == "(":
                self._take()
                syntax = self._expression(0)
                self._expect(")")
                return syntax
            case Kind.SYMBOL if token.text == "{":
                self._take()
                self._expect("}")
                return Literal(token.position, ())
            case Kind.SYMBOL if token.text == "%":
                return self._variable()
        return self._refuse_next("an expression")

    def _invocation(self, source: Syntax | None) -> Syntax:
        token = self._take()
        if token.kind is Kind.SPECIAL:
            if source is not None:
                self._refuse(f"{token.text} cannot follow a dot", token)
            special: dict[str, Callable[[int], Syntax]] = {"$this": This, "$index": Index, "$total": Total}
            return special[token.text](token.position)
        name = self._name(token)
        if self._next_is("(") and token.kind is Kind.IDENTIFIER:
            return Call(token.position, source, name, self._arguments())
        return Member(token.position, source, name)

    def _arguments(self) -> tuple[Syntax, ...]:
        self._expect("(")
        arguments: list[Syntax] = []
        if not self._next_is(")"):
            arguments.append(self._expression(0))
            while self._next_is(","):
                self._take()
                arguments.append(self._expression(0))
        self._expect(")")
        return tuple(arguments)

    def _name(self, token: Token) -> str:
        keyword = token.kind is Kind.IDENTIFIER and token.text in _KEYWORDS and token.text not in _NAME_TOO
        if keyword or token.kind not in (Kind.IDENTIFIER, Kind.DELIMITED):
            self._refuse(f"expected a name, found {_described(token)}", token)
        return token.text

    def _type_name(self) -> TypeName:
        first = self._take()
        name = self._name(first)
        if not self._next_is("."):
            return TypeName(first.position, None, name)
        self._take()
        return TypeName(first.position, name, self._name(self._take()))

    def _variable(self) -> Syntax:
        percent = self._take()
        token = self._take()
        if token.kind is Kind.STRING:
            return Variable(percent.position, token.text)
        return Variable(percent.position, self._name(token))

    def _number(self) -> Syntax:
        token = self._take()
        number: Item = Decimal(token.text) if "." in token.text else int(token.text)
        if self._next.kind is Kind.STRING:
            return Literal(token.position, (Quantity(Decimal(token.text), self._take().text),))
        if self._next.kind is Kind.IDENTIFIER and self._next.text in CALENDAR_UNITS:
            unit = CALENDAR_UNITS[self._take().text]
            return Literal(token.position, (Quantity(Decimal(token.text), unit, calendar=True),))
        if isinstance(number, int) and number > MAX_INTEGER:
            self._refuse(f"an Integer is at most {MAX_INTEGER}; write a Decimal such as {number}.0", token)
        return Literal(token.position, (number,))

    def _temporal(self, read: Callable[[str], Item], digits: str) -> Syntax:
        token = self._take()
        try:
            return Literal(token.position, (read(digits),))
        except Fault as fault:
            raise FhirPathError(self._text, token.position, fault.reason) from None

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _next_is(self, symbol: str) -> bool:
        token = self._next
        return token.kind is Kind.SYMBOL and token.text == symbol

    def _take(self) -> Token:
        token = self._next
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def _expect(self, symbol: str) -> None:
        if not self._next_is(symbol):
            self._refuse_next(f"'{symbol}'")
        self._take()

    def _check_depth(self, syntax: Syntax) -> None:
        level = [syntax]
        for _ in range(MAX_DEPTH):
            level = [child for parent in level for child in children(parent)]
            if not level:
                return
        raise FhirPathError(self._text, level[0].position, "the expression is nested too deeply")

    def _refuse_next(self, expected: str) -> NoReturn:
        self._refuse(f"expected {expected}, found {_described(self._next)}")

    def _refuse(self, reason: str, token: Token | None = None) -> NoReturn:
        raise FhirPathError(self._text, (token or self._next).position, reason)


def _described(token: Token) -> str:
    return "the end" if token.kind is Kind.END else f"'{token.text}'"
