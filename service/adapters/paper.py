"""HTML as PDF/UA (ISO 14289-1), by WeasyPrint, which comes with the extra `pdf`. Nothing that it names is fetched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

_VARIANT: Final = "pdf/ua-1"

PdfMaker = Callable[[str, str, str], bytes]
"""Makes a PDF of an HTML document, a stylesheet for it, and the absolute address that its links are relative to."""


def pdf_maker() -> PdfMaker | None:
    """How PDFs are made; None where WeasyPrint is not installed."""
    return None if find_spec("weasyprint") is None else _pdf


def _pdf(html: str, style: str, base_url: str) -> bytes:
    # It takes a second to load, which nobody waits for who makes no PDF.
    from weasyprint import CSS, HTML
    from weasyprint.urls import URLFetcher

    # It tells each time what of a stylesheet it does not know, and what was not fetched.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    nothing = URLFetcher(allowed_protocols=())
    document = HTML(string=html, base_url=base_url, url_fetcher=nothing)
    made: bytes = document.write_pdf(stylesheets=[CSS(string=style, url_fetcher=nothing)], pdf_variant=_VARIANT)
    return made
