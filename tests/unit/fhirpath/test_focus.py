"""Expressions whose result is the same for every focus are known as such, and no others."""

from __future__ import annotations

import pytest

from service.fhirpath.focus import reads_focus


@pytest.mark.parametrize(
    "text",
    [
        "%resource.subject",
        "%resource.repeat(item).where(linkId = 'q').answer.value",
        "%resource.item.where($this.linkId = 'q').select(answer.value)",
        "%resource.item.answer.value.ofType(Coding).code",
        "%resource.item.exists(linkId = 'q')",
        "%resource.item.all(answer.exists())",
        "iif(%resource.source.exists(), %resource.source, %resource.subject)",
        "today() - 1 year",
        "'a' + %context.id",
        "1 | 2",
        "{}",
        "%resource.item[0].answer[%resource.item.count() - 1]",
        "-(%resource.item.count())",
        "%resource.item is BackboneElement",
    ],
)
def test_what_reads_its_environment_only(text: str) -> None:
    assert reads_focus(text) is False


@pytest.mark.parametrize(
    "text",
    [
        "answer.value",
        "$this",
        "where(linkId = 'q')",
        "%resource.item | item",
        "%resource.item.combine(item)",
        "%resource.item.linkId.join(linkId)",
        "iif(answer.exists(), 1, 2)",
        "iif(%resource.exists(), answer, 2)",
        "%resource.item.aggregate($total + 1, answer.value)",
        "%resource.item[answer.value]",
        "-(answer.value)",
        "answer.value is Coding",
        "exists()",
        "QuestionnaireResponse.item",
    ],
)
def test_what_reads_its_focus(text: str) -> None:
    assert reads_focus(text) is True
