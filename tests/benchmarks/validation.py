"""Validation alone: the page's worked cases, and made-up responses of 25, 35, 250 and 2,500 items.

    python -m tests.benchmarks.validation [--rounds 5]

The made-up Questionnaire has groups of ten items: choices, one of them hidden by another, text with a limit, numbers
with bounds, dates and a pattern. All are answered, and no answer is at fault.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from service.packs import load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.sdc.compilation import compile_questionnaire
from service.sdc.validation import validate
from tests.benchmarks.measuring import Contender, medians, timed, verdict

PAGE = "muscle-fasciculation"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
SIZES = (25, 35, 250, 2_500)
GOAL_SIZE = 35
GOAL_SECONDS = 100e-6
GOAL_GROWTH = 1.25
SYSTEM = "http://snomed.info/sct"
CODES = ("88092000", "44077006", "16046003", "55300003", "none")
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    contenders = [*_worked_cases(options.repetitions), *map(partial(_made_up, options.repetitions), SIZES)]
    seconds = medians(contenders, options.rounds)
    for name, spent in seconds.items():
        print(f"{name:60} {spent * 1e6:10,.1f} µs")
    each = {size: seconds[_name(size)] / size for size in SIZES}
    print("µs an item:", ", ".join(f"{size}: {spent * 1e6:.2f}" for size, spent in each.items()))
    goal = seconds[_name(GOAL_SIZE)]
    growth = each[SIZES[-1]] / each[SIZES[0]]
    print(verdict(f"a response of {GOAL_SIZE} items under 100 µs: {goal * 1e6:.0f} µs", met=goal < GOAL_SECONDS))
    print(verdict(f"an item of {SIZES[-1]} costs as one of {SIZES[0]}: {growth:.2f} times", met=growth < GOAL_GROWTH))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Validation of responses, timed.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=10_000, help="items validated for one measurement")
    return parser.parse_args(arguments)


def _worked_cases(repetitions: int) -> Iterator[Contender]:
    pack = load_pack(shipped_pages() / PAGE)
    for vignette in load_vignettes(shipped_pages() / PAGE):
        if vignette.name.startswith("case-") and not vignette.issues:
            response = vignette_response(pack, vignette)
            work = timed(partial(validate, pack.questionnaire, response, NOW))
            yield Contender(f"{vignette.name}, {_count(response)} items", work, max(1, repetitions // 25))


def _made_up(repetitions: int, size: int) -> Contender:
    questionnaire = compile_questionnaire(made_up_questionnaire(size))
    response = made_up_response(size)
    assert validate(questionnaire, response, NOW) == []
    work = timed(partial(validate, questionnaire, response, NOW))
    return Contender(_name(size), work, max(1, repetitions // size))


def _count(element: dict[str, Any]) -> int:
    return sum(1 + _count(item) for item in element.get("item", ()))


def _name(size: int) -> str:
    return f"made-up response, {size} items"


def made_up_questionnaire(size: int) -> dict[str, Any]:
    """A Questionnaire of `size` items, groups not counted."""
    items = [_question(number) for number in range(size)]
    return {
        "resourceType": "Questionnaire",
        "url": "https://symptom-intake.example/fhir/Questionnaire/made-up",
        "version": "1",
        "status": "active",
        "item": [
            {"linkId": f"group-{number}", "type": "group", "text": f"Group {number}", "item": list(group)}
            for number, group in enumerate(_tens(items))
        ],
    }


def made_up_response(size: int) -> dict[str, Any]:
    """A complete response to it, without fault."""
    items = [
        {"linkId": f"q{number}", "text": f"Question {number}", "answer": [_answer(number)]} for number in range(size)
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "https://symptom-intake.example/fhir/Questionnaire/made-up|1",
        "status": "completed",
        "authored": "2026-03-15T10:00:00+01:00",
        "item": [
            {"linkId": f"group-{number}", "text": f"Group {number}", "item": list(group)}
            for number, group in enumerate(_tens(items))
        ],
    }


def _question(number: int) -> dict[str, Any]:
    link_id = f"q{number}"
    question: dict[str, Any] = {"linkId": link_id, "text": f"Question {number}", "required": True}
    match number % 10:
        case 6:
            return {**question, "type": "string", "maxLength": 80}
        case 7:
            bounds = [{"url": f"{EXTENSION}minValue", "valueInteger": 0}]
            return {**question, "type": "integer", "extension": bounds}
        case 8:
            return {**question, "type": "date"}
        case 9:
            pattern = [{"url": f"{EXTENSION}regex", "valueString": "[a-z ]+"}]
            return {**question, "type": "text", "extension": pattern}
        case 5:
            condition = {"question": f"q{number - 1}", "operator": "=", "answerCoding": _coding(number - 1)}
            question["enableWhen"] = [condition]
    options = [{"valueCoding": {"system": SYSTEM, "code": code, "display": code}} for code in CODES]
    return {**question, "type": "choice", "answerOption": options}


def _answer(number: int) -> dict[str, Any]:
    match number % 10:
        case 6:
            return {"valueString": "left calf"}
        case 7:
            return {"valueInteger": number}
        case 8:
            return {"valueDate": "2026-02"}
        case 9:
            return {"valueString": "since the new year"}
    return {"valueCoding": {**_coding(number), "display": CODES[number % len(CODES)]}}


def _coding(number: int) -> dict[str, Any]:
    return {"system": SYSTEM, "code": CODES[number % len(CODES)]}


def _tens(items: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ...]]:
    rest = iter(items)
    while group := tuple(islice(rest, 10)):
        yield group


if __name__ == "__main__":
    sys.exit(main())
