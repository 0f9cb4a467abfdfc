"""What the author of a page states about its rules, for `pack check` and `pack prove` to hold the rules against.

A page's `proof.toml`; `questionnaires/README.md` describes the format. None of it is read when a page is served.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import IssueType, error
from service.packs.pack import PackInvalid

PROOF_FILE = "proof.toml"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a fact turns from false to true: it is false up to and with `limit`, and true beyond.

    `unit` is "days" (from the answer of `question`, a date, to the day of authoring), "answers" (how many are given),
    or "value" (of a number).
    """

    fact: str
    question: str
    unit: str
    limit: int


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A change of a rule or fact that makes no difference, by the name `pack prove --mutants` gives it, and why."""

    mutant: str
    reason: str


@dataclass(frozen=True, slots=True)
class Statements:
    """`not_sure` are the codes of the options by which a person says that they do not know."""

    not_sure: frozenset[str] = frozenset()
    thresholds: tuple[Threshold, ...] = ()
    equivalents: tuple[Equivalent, ...] = ()


def load_statements(folder: Path) -> Statements:
    """The statements about the page in `folder`; none without a file. Raises PackInvalid where it cannot be read."""
    file = folder / PROOF_FILE
    if not file.is_file():
        return Statements()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        return Statements(
            frozenset(tables.get("not_sure", ())),
            tuple(_threshold(table) for table in tables.get("threshold", ())),
            tuple(Equivalent(table["mutant"], table["reason"]) for table in tables.get("equivalent", ())),
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        text = f"The statements cannot be read: {fault}"
        raise PackInvalid([error(IssueType.STRUCTURE, text, str(file))]) from fault
    except KeyError as fault:
        text = (
            "A threshold needs fact, question, and one of days, answers and value; an equivalent mutant needs mutant "
            f"and reason. Missing: {fault}"
        )
        raise PackInvalid([error(IssueType.REQUIRED, text, str(file))]) from fault


def _threshold(table: Mapping[str, Any]) -> Threshold:
    unit = next((name for name in ("days", "answers", "value") if name in table), "days")
    return Threshold(table["fact"], table["question"], unit, table[unit])
