"""Cards: that they keep within what the specification allows, whatever pages and patients wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from service.packs import Pack, load_packs, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.cards import Indicator, KeptResult, Result, markdown, result_card
from service.sdc.assessment import Assessment, Reason, assess
from service.sdc.context import read_response
from service.sdc.triage import Source
from tests.unit.records.samples import Clock

PAGE = "muscle-fasciculation"
NASTY = [
    "<img src=x onerror=alert(1)>",
    "<!-- x --><script>alert(1)</script>",
    "[a](https://evil.example) ![b](https://evil.example/b.png)",
    "**bold** _slanted_ ~~gone~~ `code`",
    "https://evil.example www.evil.example a@evil.example",
    "first\n\n# second\n- third\n1. fourth\n> fifth\n| a | b |\n|---|---|",
    "&amp; &lt;b&gt; &#42;x&#42; \\*y\\*",
]

LINK = {"url": "https://x.example", "type": "absolute"}


@pytest.fixture(scope="module")
def page() -> Pack:
    return load_packs(shipped_pages() / PAGE)[0]


def assessed(page: Pack, case: str, clock: Clock | None = None) -> Assessment:
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(case))
    response = vignette_response(page, vignette)
    return assess(page.plan, read_response(page.questionnaire, response, (clock or Clock())()))


def result(assessment: Assessment, title: str = "Twitching", disclaimer: str = "No advice.") -> Result:
    response = {"id": "r1", "status": "completed", "authored": "2026-03-15T10:00:00+01:00"}
    return Result(title, response, assessment, disclaimer)


def rendered(text: str) -> str:
    # As GitHub does: HTML is let through, and addresses become links by themselves.
    shown: str = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    return shown


@pytest.mark.parametrize("text", NASTY)
def test_text_in_markdown_is_shown_as_it_is(text: str) -> None:
    shown = rendered(f"- **a** “{markdown(text)}”")
    inner = shown.removeprefix("<ul>\n<li><strong>a</strong> “").removesuffix("”</li>\n</ul>\n")
    assert "<" not in inner
    plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert plain == " ".join(text.split())


@pytest.mark.parametrize("address", ["https://evil.example", "WWW.evil.example", "mailto:a@evil.example"])
def test_no_address_that_a_patient_wrote_stands_there_as_one(address: str) -> None:
    assert address.lower() not in markdown(f"see {address}").lower()


@pytest.mark.parametrize("text", NASTY)
def test_what_patients_answered_is_quoted_as_text(page: Pack, text: str) -> None:
    made = assessed(page, "case-08")
    reason = Reason("muscles", "Which?", (text,), (text,))
    outcomes = tuple(replace(one, reasons=(reason,)) for one in made.outcomes)
    detail = result_card("u", result(replace(made, outcomes=outcomes)), Indicator.CRITICAL, LINK)["detail"]
    assert f"\n- “Which?” {markdown(text)}\n- Source: " in detail


def test_sources_are_links_where_they_have_an_address(page: Pack) -> None:
    made = assessed(page, "case-08")
    sources = (Source("guidance", "A [b]", "https://a.example/x_(y) z"), Source("policy", "Ours", None))
    outcomes = tuple(replace(one, rule=replace(one.rule, sources=sources)) for one in made.outcomes)
    detail = result_card("u", result(replace(made, outcomes=outcomes)), Indicator.CRITICAL, LINK)["detail"]
    assert r"Source: [A \[b\]](https://a.example/x_%28y%29%20z), guidance; Ours, policy" in detail


def test_only_the_rules_that_decide_are_explained_and_the_others_named(page: Pack) -> None:
    (first, *others) = result_card(
        "u", result(assessed(page, "case-10-pregnant-with-severe")), Indicator.CRITICAL, LINK
    )["detail"].split("\n\n")
    assert first.startswith("**U9 ")
    assert others[0].count("\n- Source: ") == 1
    assert others[1].startswith("Also: P9 ")
    assert others[-1] == "No advice."


def test_what_could_not_be_judged_is_named(page: Pack) -> None:
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.level and one.not_assessed)
    detail = result_card("u", result(assessed(page, vignette.name)), Indicator.WARNING, LINK)["detail"]
    assert f"Not assessed: {vignette.not_assessed[0]} " in detail


@pytest.mark.parametrize("length", [1, 80, 100, 139, 140, 1000])
def test_a_summary_is_short_and_never_loses_the_level(page: Pack, length: int) -> None:
    made = result(assessed(page, "case-08"), title="x" * length)
    summary = result_card("u", made, Indicator.CRITICAL, LINK)["summary"]
    assert len(summary) < 140
    assert summary.endswith(", answers of 2026-03-15: Same day or emergency")


def test_without_a_disclaimer_there_is_no_empty_paragraph(page: Pack) -> None:
    detail = result_card("u", result(assessed(page, "case-08"), disclaimer=""), Indicator.CRITICAL, LINK)["detail"]
    assert "\n\n\n" not in detail
    assert detail == detail.strip()


def test_a_kept_result_of_a_level_that_no_rule_has_any_more_is_a_warning() -> None:
    assert KeptResult("Twitching", {}, {}, None).indicator is Indicator.WARNING
