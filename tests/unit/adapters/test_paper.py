"""PDFs: tagged for people who do not see, and made without a look at the network or the disk."""

from __future__ import annotations

import logging
import re
import zlib
from pathlib import Path

import pytest

from service.adapters.paper import pdf_maker

HTML = '<html lang="en"><head><title>A title</title></head><body><h1>Hello</h1>{}</body></html>'
BASE = "https://intake.example/responses/1/summary.pdf"


def made(body: str, style: str = "") -> bytes:
    make = pdf_maker()
    assert make is not None
    return make(HTML.format(body), style, BASE)


def told(pdf: bytes) -> bytes:
    """The PDF with its streams as they are before they are packed."""
    unpacked = pdf
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            unpacked += zlib.decompress(stream)
        except zlib.error:
            continue
    return unpacked


def test_it_is_pdf_ua_with_language_title_and_structure() -> None:
    pdf = told(made("<p>text</p>"))
    assert pdf.startswith(b"%PDF-")
    assert b"pdfuaid:part" in pdf
    for part in (b"/MarkInfo", b"/StructTreeRoot", b"/Lang (en)", b"A title", b"/S /H1", b"/S /P"):
        assert part in pdf, part


def test_drawings_are_told_by_their_titles() -> None:
    drawing = '<svg viewBox="0 0 9 9" width="9" height="9"><title>A drawing</title><circle cx="4" cy="4" r="4"/></svg>'
    assert b"/Alt (A drawing)" in told(made(drawing))


def test_links_are_absolute() -> None:
    assert b"https://intake.example/responses/2/summary" in told(made('<a href="/responses/2/summary">other</a>'))


@pytest.mark.parametrize(
    ("body", "style"),
    [
        ('<img src="{}">', ""),
        ('<link rel="stylesheet" href="{}"><p>x</p>', ""),
        ('<svg><image href="{}" width="9" height="9"/></svg>', ""),
        ("", "@import url({});"),
        ("", "@font-face {{ font-family: f; src: url({}) }} p {{ background: url({}) }}"),
    ],
)
def test_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: str, style: str
) -> None:
    (tmp_path / "secret.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><text>secret</text></svg>")
    asked: list[str] = []
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *given, **_: asked.append(str(given)))
    for address in ("http://evil.example/x.svg", (tmp_path / "secret.svg").as_uri()):
        assert b"secret" not in told(made(body.format(address), style.format(address, address)))
    assert asked == []
    assert not [record for record in caplog.records if record.levelno <= logging.WARNING]
