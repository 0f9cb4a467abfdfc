"""The benchmarks run, and time what they say: a round of the smallest size. How fast it was, no test asks."""

import pytest

from tests.benchmarks import cds, delivery, load, pipeline, rules, validation


def test_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert rules.main(["--rounds", "1", "--cases", "2", "--repetitions", "1"]) == 0
    printed = capsys.readouterr().out
    assert "npm fhirpath 5.2.2; the same rules fire in 2 of 2 cases" in printed
    assert "10 times npm's fhirpath on the page's rules" in printed


def test_validation(capsys: pytest.CaptureFixture[str]) -> None:
    assert validation.main(["--rounds", "1", "--repetitions", "1"]) == 0
    printed = capsys.readouterr().out
    assert "case-01-eyelid-and-stress" in printed
    assert "made-up response, 2500 items" in printed


def test_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline.main(["--rounds", "1", "--repetitions", "1"]) == 0
    printed = capsys.readouterr().out
    assert "npm @aehrc/sdc-template-extract 1.0.16 extracts" in printed
    assert "faster than the peer's extraction alone" in printed


def test_cds(capsys: pytest.CaptureFixture[str]) -> None:
    assert cds.main(["--rounds", "1", "--repetitions", "1", "--responses", "2"]) == 0
    printed = capsys.readouterr().out
    assert "empty Flask route" in printed
    assert "a call within 500 ms" in printed


def test_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert load.main(["--rounds", "1", "--requests", "16", "--kept", "50"]) == 0
    printed = capsys.readouterr().out
    assert "fdatasync alone" in printed
    assert "rows alone, 16 a commit, SQLite" in printed
    assert "serve, PostgreSQL: 0.8 of the bare endpoint" in printed
    assert "serve, PostgreSQL, 50 kept: 1.2 times the cost of an empty one" in printed


def test_delivery(capsys: pytest.CaptureFixture[str]) -> None:
    assert delivery.main(["--rounds", "1", "--responses", "2", "--kept", "50"]) == 0
    printed = capsys.readouterr().out
    assert "workers, 50 kept" in printed
    assert "deliveries at 0.9 of the bare loop" in printed
