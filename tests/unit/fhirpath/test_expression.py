"""Compiling with what is known beforehand, and what an expression tells of itself."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.fhirpath import (
    Environment,
    EvaluationError,
    FhirPathError,
    Item,
    Node,
    compile_expression,
    json_value,
    type_name,
)

NOW = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("foo()", "there is no function foo()"),
        ("item.first(1)", "first() takes 0 arguments, not 1"),
        ("item.where()", "where() takes 1 argument, not 0"),
        ("iif(true)", "iif() takes 2 to 3 arguments, not 1"),
        ("%unknown", "there is no variable %unknown here"),
        ("item.lnkId", "QuestionnaireResponse.item has no element 'lnkId'"),
        ("item.answer.valueCoding", "write 'value.ofType(Coding)'"),
        ("%resource.itm", "QuestionnaireResponse has no element 'itm'"),
        ("repeat(item).anser", "QuestionnaireResponse.item has no element 'anser'"),
        ("item.answer.value.ofType(Coding).cod", "Coding has no element 'cod'"),
        ("item.where(answer.valu.exists())", "has no element 'valu'"),
        ("descendants().linkid", "FHIR R4 has no element 'linkid'"),
        ("item is Quantty", "there is no type Quantty"),
        ("item.ofType(1)", "expected the name of a type"),
        ("Encounter.status", "the path begins with Encounter"),
        ("'a'.code", "System.String has no element 'code'"),
        ("$total", "$total has a value inside of aggregate() only"),
    ],
)
def test_refused_when_compiled(text: str, reason: str) -> None:
    with pytest.raises(FhirPathError) as raised:
        compile_expression(text, context_type="QuestionnaireResponse", variables={"known"})
    assert reason in raised.value.reason


def test_an_unknown_name_is_refused_although_no_type_is_known() -> None:
    with pytest.raises(FhirPathError, match="has no element 'linkid'"):
        compile_expression("linkid")


def test_the_start_of_an_aggregate_is_read_where_the_call_stands() -> None:
    focus = [Node.of_resource({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{}, {}]})]
    expression = compile_expression("item.aggregate($total & '.', status)", context_type="QuestionnaireResponse")
    assert expression.evaluate(focus, Environment(NOW)) == ["completed.."]


def test_an_unknown_context_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no type Questionaire"):
        compile_expression("item", context_type="Questionaire")


def test_it_tells_which_variables_and_link_ids_it_reads() -> None:
    expression = compile_expression(
        "%resource.descendants().where(linkId = 'a' or 'b' = linkId or linkId in ('c' | 'd')).answer.value = %other"
        " and %sct.exists() and 1.defineVariable('own', 'e').select(%own).exists()"
    )
    assert expression.variables == {"resource", "other"}
    assert expression.link_ids == {"a", "b", "c", "d"}


def test_a_variable_is_read_only_when_needed() -> None:
    class Watched(Mapping[str, Sequence[Item]]):
        def __init__(self) -> None:
            self.read: list[str] = []

        def __getitem__(self, name: str) -> Sequence[Item]:
            self.read.append(name)
            return [True]

        def __iter__(self) -> Iterator[str]:
            return iter(())

        def __len__(self) -> int:
            return 0

    variables = Watched()
    environment = Environment(NOW, variables)
    assert compile_expression("%first or %second").evaluate([], environment) == [True]
    assert variables.read == ["first"]


def test_the_three_answers_of_a_condition() -> None:
    environment = Environment(NOW, {"symptoms": [], "weakness": [Node.of({"code": "gradual"}, "Coding")]})
    fact = "iif(%symptoms.exists(), %symptoms.code contains '88092000', {})"
    assert compile_expression(fact).test([], environment) is None
    assert compile_expression(f"({fact}) and false").test([], environment) is False
    assert compile_expression(f"({fact}) or %weakness.code = 'gradual'").test([], environment) is True


@pytest.mark.parametrize("text", ["1", "'a'", "(true | false)"])
def test_a_condition_that_is_no_boolean_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="expected a Boolean"):
        compile_expression(text).test([], Environment(NOW))


def test_an_error_of_evaluation_names_expression_and_position() -> None:
    with pytest.raises(EvaluationError) as raised:
        compile_expression("true and (1 | 2).single() = 1").evaluate([], Environment(NOW))
    assert raised.value.text == "true and (1 | 2).single() = 1"
    assert raised.value.position == 17
    assert raised.value.reason == "single() expects one item at most, found 2"


def test_results_as_json_and_their_types() -> None:
    environment = Environment(NOW, {"coding": [Node.of({"code": "a"}, "Coding")]})
    found = compile_expression("%coding | %coding.code | @2026-03 | 5 'mg' | 3 days | 1.50").evaluate([], environment)
    ucum = "http://unitsofmeasure.org"
    assert [json_value(item) for item in found] == [
        {"code": "a"},
        "a",
        "2026-03",
        {"value": Decimal(5), "unit": "mg", "system": ucum, "code": "mg"},
        {"value": Decimal(3), "unit": "day", "system": ucum, "code": "d"},
        Decimal("1.50"),
    ]
    assert [type_name(item) for item in found] == ["Coding", "code", "Date", "Quantity", "Quantity", "Decimal"]


@pytest.mark.parametrize(
    "text",
    [
        "(1|2|3|4|5|6|7|8|9)" + ".select((1|2|3|4|5|6|7|8|9)" * 7 + ")" * 7,
        "1.repeat($this + 1)",
        "('a' | 'b').repeat(($this & 'a') | ($this & 'b'))",
    ],
)
def test_what_grows_without_end_is_stopped(text: str) -> None:
    with pytest.raises(EvaluationError, match=r"visits more than|found no end"):
        compile_expression(text).evaluate([], Environment(NOW))
