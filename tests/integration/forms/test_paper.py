"""The clinician's summary on paper is PDF/UA-1 (ISO 14289-1), as far as a validator can tell."""

from __future__ import annotations

from pathlib import Path

from weasyprint import HTML

from service.bootstrap import Services
from service.records.submission import Sender
from tests.integration.answers import MakeResponse
from tests.integration.forms.browser import Browser
from tests.pdf.validator import faults

CASES = ("case-02", "case-08", "case-05")


def test_summaries_conform_to_pdf_ua(
    browser: Browser, services: Services, make_response: MakeResponse, tmp_path: Path
) -> None:
    files = []
    for day, case in enumerate(CASES, start=14):
        response = make_response(case, authored=f"2026-03-{day}T08:00:00+01:00")
        id_ = services.intake.submit(response, Sender("app")).id
        files.append(tmp_path / f"{case}.pdf")
        files[-1].write_bytes(browser.client.get(f"/responses/{id_}/summary.pdf").data)
    untagged = tmp_path / "untagged.pdf"
    HTML(string="<p>No title, language or structure</p>").write_pdf(untagged)
    *of_summaries, of_untagged = faults([*files, untagged])
    assert of_summaries == [[], [], []]
    assert any("tagged as real content" in fault for fault in of_untagged), of_untagged
