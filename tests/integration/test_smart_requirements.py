"""Each requirement of SMART on an app has a test that exists, or a reason why it does not concern us."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
REQUIREMENTS = tomllib.loads((Path(__file__).parent / "smart-requirements.toml").read_text(encoding="utf-8"))[
    "requirement"
]
PAGES = ("app-launch", "scopes-and-launch-context", "conformance", "client-confidential-asymmetric", "backend-services")


@cache
def names_of_tests(file: str) -> frozenset[str]:
    """The names of the tests in a file ("Class::test_name")."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=[one["asks"][:50] for one in REQUIREMENTS])
def test_it_has_tests_or_a_reason(requirement: dict[str, object]) -> None:
    assert ("tests" in requirement) != ("why" in requirement)
    for test in requirement.get("tests", ()):  # type: ignore[attr-defined]
        file, _, name = test.partition("::")
        assert name in names_of_tests(file), test


def test_every_page_for_apps_is_read() -> None:
    assert {one["page"] for one in REQUIREMENTS} >= set(PAGES)
