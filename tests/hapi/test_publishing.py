"""`pack publish` on a real FHIR server: the page is found there by its canonical, and published once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.packs import shipped_pages
from tests.hapi.client import FhirClient
from tests.hapi.published import ORDER

NAME = "muscle-fasciculation"
KINDS = (*ORDER, "ConceptMap", "PlanDefinition")


@pytest.fixture
def base(fhir: FhirClient) -> Iterator[str]:
    """The beginning of canonicals of this test alone, whose artifacts are deleted at its end."""
    base = f"https://{uuid.uuid4()}.example/fhir"
    yield base
    for kind in reversed(KINDS):
        for one in fhir.search(kind, **{"url:below": base}):
            fhir.request("DELETE", f"{kind}/{one['id']}").raise_for_status()


@pytest.fixture
def folder(tmp_path: Path, base: str) -> Path:
    """The shipped page under canonicals of its own."""
    place = tmp_path / NAME
    for file in (shipped_pages() / NAME).rglob("*"):
        if file.is_file():
            copy = place / file.relative_to(shipped_pages() / NAME)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text(encoding="utf-8").replace("https://symptom-intake.example/fhir", base))
    return place


def publish(folder: Path, server: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["pack", "publish", str(folder), "--to", server, *options])


def test_a_page_is_published_once_and_found_by_its_canonical(
    folder: Path, base: str, fhir: FhirClient, fhir_server: str
) -> None:
    dry = publish(folder, fhir_server, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "new       Questionnaire" in dry.output
    assert fhir.search("Questionnaire", url=f"{base}/Questionnaire/{NAME}") == []

    first = publish(folder, fhir_server)
    assert first.exit_code == 0, first.output
    found = fhir.search("Questionnaire", url=f"{base}/Questionnaire/{NAME}", version="1.1.0")
    assert [one["title"] for one in found] == ["Muscle twitching (muscle fasciculation)"]

    again = publish(folder, fhir_server)
    assert again.exit_code == 0, again.output
    assert "0 published" in again.output
    assert len(fhir.search("Questionnaire", url=f"{base}/Questionnaire/{NAME}")) == 1


def test_a_published_version_is_changed_only_when_told(
    folder: Path, base: str, fhir: FhirClient, fhir_server: str
) -> None:
    assert publish(folder, fhir_server).exit_code == 0
    file = folder / "questionnaire.json"
    questionnaire = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**questionnaire, "title": "Twitches"}), encoding="utf-8")

    refused = publish(folder, fhir_server)
    assert refused.exit_code == 1
    assert '~ Questionnaire.title: "Muscle twitching (muscle fasciculation)" -> "Twitches"' in refused.output

    assert publish(folder, fhir_server, "--replace").exit_code == 0
    (stored,) = fhir.search("Questionnaire", url=f"{base}/Questionnaire/{NAME}")
    assert (stored["title"], stored["meta"]["versionId"]) == ("Twitches", "2")
