"""Compiled expressions: the way in and out of this package."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from service.fhirpath.code import Code
from service.fhirpath.compiler import Compiler
from service.fhirpath.environment import Environment, Scope
from service.fhirpath.errors import EvaluationError
from service.fhirpath.lookups import link_ids
from service.fhirpath.parser import parse
from service.fhirpath.values import Item, system_type, system_value


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression to be evaluated any number of times, by any thread."""

    text: str
    variables: frozenset[str]
    """Names it reads behind %: of the environment, not those that FHIRPath itself fixes (`%sct`, `%vs-...`)."""
    link_ids: frozenset[str]
    """Strings it compares with a linkId."""
    _code: Code = field(repr=False, compare=False)

    def evaluate(self, focus: Sequence[Item], environment: Environment) -> list[Item]:
        """The items found. Raises EvaluationError where the specification makes the data an error."""
        return list(self._code.run(Scope(environment, focus)))

    def test(self, focus: Sequence[Item], environment: Environment) -> bool | None:
        """The Boolean found; None when the result is empty.

        Raises EvaluationError as `evaluate`, and when the result is several items or no Boolean.
        """
        found = self._code.run(Scope(environment, focus))
        if not found:
            return None
        if len(found) > 1:
            raise EvaluationError(self.text, 0, f"expected a Boolean, found {len(found)} items")
        value = system_value(found[0])
        if value is None or isinstance(value, bool):
            return value
        raise EvaluationError(self.text, 0, f"expected a Boolean, found {system_type(value)}")


_NO_TYPES: Mapping[str, str] = MappingProxyType({})


def compile_expression(
    text: str,
    *,
    context_type: str | None = None,
    variables: Container[str] | None = None,
    types: Mapping[str, str] = _NO_TYPES,
) -> Expression:
    """Compile `text`.

    `context_type` is the R4 type of the focus (`QuestionnaireResponse`, `QuestionnaireResponse.item`, `Coding`): names
    of elements are then checked along the types known; without it, a name that is no element of any R4 type is still
    an error. `%resource` is taken to be the resource that the type belongs to. `variables` are the names allowed behind
    %, besides those FHIR defines; None allows any. `types` are R4 types of what some of them hold, by name.
    Raises FhirPathError for bad syntax, unknown functions, names, types, and wrong numbers of arguments; ValueError for
    a `context_type` that R4 does not have.
    """
    syntax = parse(text)
    compiler = Compiler(text, context_type, variables, types)
    code = compiler.compile(syntax)
    return Expression(text, frozenset(compiler.variables), link_ids(syntax), code)
