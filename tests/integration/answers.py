"""Finding places in a QuestionnaireResponse, and what the tests expect of answers to bad input."""

from collections.abc import Callable, Iterator
from typing import Any

from werkzeug.test import TestResponse

Response = dict[str, Any]
MakeResponse = Callable[..., Response]

FHIR_JSON = "application/fhir+json; charset=utf-8"


def item(response: Response, link_id: str) -> dict[str, Any]:
    """The item of `response` with this linkId."""
    return next(found for found, _ in _items(response, "QuestionnaireResponse") if found["linkId"] == link_id)


def path_of(response: Response, link_id: str) -> str:
    """The path of that item ("QuestionnaireResponse.item[0].item[2]")."""
    return next(path for found, path in _items(response, "QuestionnaireResponse") if found["linkId"] == link_id)


def answer_with(response: Response, link_id: str, *answers: dict[str, Any]) -> Response:
    """`response` with these answers to one question."""
    item(response, link_id)["answer"] = list(answers)
    return response


def without(response: Response, link_id: str) -> Response:
    """`response` without its item for one question."""
    for holder, _ in [(response, ""), *_items(response, "")]:
        holder["item"] = [child for child in holder.get("item", []) if child["linkId"] != link_id]
        if not holder["item"]:
            del holder["item"]
    return response


def issues_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome."""
    assert answer.content_type == FHIR_JSON
    assert answer.json["resourceType"] == "OperationOutcome"
    return answer.json["issue"]


def detail(issue: dict[str, Any]) -> str | None:
    """The code of this service's own for an issue."""
    return next((coding["code"] for coding in issue["details"].get("coding", [])), None)


def _items(holder: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    for index, child in enumerate(holder.get("item", [])):
        place = f"{path}.item[{index}]"
        yield child, place
        yield from _items(child, place)
