"""Sample responses of a Questionnaire: between them they give every option of every question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from service.fhir.json import Json
from service.sdc.questionnaire import Item, ItemType, Questionnaire

_SAMPLES: Mapping[ItemType, Json] = MappingProxyType(
    {
        ItemType.BOOLEAN: {"valueBoolean": True},
        ItemType.DECIMAL: {"valueDecimal": 1},
        ItemType.INTEGER: {"valueInteger": 1},
        ItemType.DATE: {"valueDate": "2019-12-01"},
        ItemType.DATE_TIME: {"valueDateTime": "2019-12-01T12:00:00Z"},
        ItemType.TIME: {"valueTime": "12:00:00"},
        ItemType.STRING: {"valueString": "sample"},
        ItemType.TEXT: {"valueString": "sample"},
        ItemType.URL: {"valueUri": "urn:sample"},
        ItemType.CHOICE: {"valueCoding": {"system": "urn:sample", "code": "sample", "display": "Sample"}},
        ItemType.OPEN_CHOICE: {"valueString": "sample"},
        ItemType.ATTACHMENT: {"valueAttachment": {"contentType": "text/plain", "title": "sample"}},
        ItemType.REFERENCE: {"valueReference": {"reference": "Patient/sample"}},
        ItemType.QUANTITY: {"valueQuantity": {"value": 1, "unit": "1"}},
    }
)


def sample_responses(questionnaire: Questionnaire) -> Iterator[Json]:
    """Complete responses, without regard to enableWhen, that together use each option once; then one without dates."""
    most = max((len(sample_answers(item)) for item in questionnaire.by_link_id.values()), default=0)
    for position in range(most):
        yield _response(questionnaire, position, with_dates=position % 2 == 0)


def _response(questionnaire: Questionnaire, position: int, *, with_dates: bool) -> Json:
    reference = {"reference": "Patient/sample"}
    items = [built for item in questionnaire.items if (built := _item(item, position, with_dates=with_dates))]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "sample",
        "questionnaire": questionnaire.url,
        "status": "completed",
        "subject": reference,
        "source": reference,
        "encounter": {"reference": "Encounter/sample"},
        "authored": "2020-01-01T00:00:00Z",
        "item": items,
    }


def _item(item: Item, position: int, *, with_dates: bool) -> Json | None:
    below = [built for child in item.items if (built := _item(child, position, with_dates=with_dates))]
    if not item.is_question:
        return {"linkId": item.link_id, "item": below} if below else None
    if item.type in (ItemType.DATE, ItemType.DATE_TIME) and not with_dates:
        return None
    answers = sample_answers(item)
    answer = answers[position % len(answers)]
    return {"linkId": item.link_id, "text": item.text, "answer": [{**answer, "item": below} if below else answer]}


def sample_answers(item: Item) -> list[Json]:
    """Answers to `item`: each option, and a value of its type where any may be given; none for a group."""
    if not item.is_question:
        return []
    options = [option.value for option in item.options or ()]
    if item.type is ItemType.OPEN_CHOICE or not options:
        options.append(_SAMPLES[item.type])
    return options
