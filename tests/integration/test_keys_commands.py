"""`keys`: what an operator sees of the keys that EHRs know this service by."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.adapters.secrets import check_key
from service.cli import main


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", f"sqlite:///{tmp_path / 'intake.db'}")


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["keys", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_keys_are_made_listed_and_replaced() -> None:
    assert "keys rotate" in run("list")
    first = run("rotate").partition(": ")[2].strip().split(", ")
    second = run("rotate").partition(": ")[2].strip().split(", ")
    lines = run("list").splitlines()
    assert lines[0].split() == ["KEY", "ALGORITHM", "MADE"]
    assert {line.split()[0] for line in lines[1:]} == {*first, *second}


def test_a_new_secret_key_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    key = run("new").strip()
    check_key(key)
    monkeypatch.setenv("SYMPTOM_INTAKE_SECRET_KEY", key)
    run("rotate")
    # What one key sealed, another does not open.
    monkeypatch.setenv("SYMPTOM_INTAKE_SECRET_KEY", run("new").strip())
    done = CliRunner().invoke(main, ["keys", "list"])
    assert done.exit_code == 2
    assert "needs another key" in done.output


def test_a_secret_key_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_SECRET_KEY", "short")
    done = CliRunner().invoke(main, ["keys", "rotate"])
    assert done.exit_code == 2
    assert "SYMPTOM_INTAKE_SECRET_KEY" in done.output
    assert "short" not in done.output
