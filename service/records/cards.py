"""Cards of CDS Hooks 2.0 ("Card Attributes"): to ask for a page's answers, and to tell of a pressing result.

Summaries have fewer than 140 characters; details are GitHub Flavored Markdown, in which what patients wrote is text
and nothing else; an element without a value is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from service.fhir.json import Json
from service.packs import Pack
from service.sdc.assessment import Assessment, RuleOutcome
from service.sdc.chart_trigger import MAX_TITLE_LENGTH, ChartTrigger
from service.sdc.triage import Priority, Source
from service.sdc.vocabulary import DRAFT_STATUS

# What makes markup within a line, and what makes addresses links: "://", "www." and "@". A patient's words never begin
# a line.
_MARKUP: Final = re.compile(r"[\\`*_\[\]|~!@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Indicator(StrEnum):
    """How pressing a card is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


_INDICATORS: Final = {
    Priority.URGENT: Indicator.WARNING,
    Priority.ASAP: Indicator.WARNING,
    Priority.STAT: Indicator.CRITICAL,
}
_KEPT: Final = "This is as it was told when the answers came in: their version of the form cannot be judged anew here."


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a patient's answers to the page with this title: an assessment that has a level."""

    title: str
    response: Json
    assessment: Assessment
    disclaimer: str

    @property
    def indicator(self) -> Indicator | None:
        """How pressing it is to clinicians; None when it is not."""
        priority = self.assessment.priority
        return None if priority is None else _INDICATORS.get(priority)


@dataclass(frozen=True, slots=True)
class KeptResult:
    """What came of answers as it was told when they were accepted: `triage`, an Observation that has a level.

    It stands for a Result where this release cannot judge by the version of the page that was answered. `priority` is
    that of rules of its level now; None where there are none.
    """

    title: str
    response: Json
    triage: Json
    priority: Priority | None

    @property
    def indicator(self) -> Indicator | None:
        """How pressing it is to clinicians, a warning where that is not known; None when it is not."""
        return Indicator.WARNING if self.priority is None else _INDICATORS.get(self.priority)


def ask_card(uuid: str, pack: Pack, trigger: ChartTrigger, launch_url: str) -> Json:
    """The card that proposes to ask for a page's answers; its link launches the form, with the page as appContext."""
    link = {"label": f"Open: {pack.title}", "url": launch_url, "type": "smart", "appContext": pack.name}
    return {
        "uuid": uuid,
        "summary": trigger.title,
        "detail": markdown(trigger.text),
        "indicator": Indicator.INFO.value,
        "source": {"label": pack.title},
        "links": [link],
    }


def result_card(uuid: str, result: Result, indicator: Indicator, link: Json) -> Json:
    """The card that tells of a result: its level and day, and by what rules, answers and sources.

    `link` is the CDS Hooks link to its summary, but for the label.
    """
    level = result.assessment.fired[0].rule.level
    return {
        "uuid": uuid,
        "summary": _summary(result.title, result.response, level.display),
        "detail": "\n\n".join(_paragraphs(result)),
        "indicator": indicator.value,
        "source": {"label": result.title},
        "links": [{"label": "All answers and the result", **link}],
    }


def kept_result_card(uuid: str, result: KeptResult, indicator: Indicator) -> Json:
    """The card that tells of a kept result; it leads nowhere, because nobody can judge the answers anew."""
    paragraphs = [markdown(note["text"]) for note in result.triage.get("note", [])]
    return {
        "uuid": uuid,
        "summary": _summary(result.title, result.response, result.triage["valueCodeableConcept"]["text"]),
        "detail": "\n\n".join([*paragraphs, _KEPT]),
        "indicator": indicator.value,
        "source": {"label": result.title},
    }


def markdown(text: str) -> str:
    """Markdown that shows `text` as it is: nothing in it is markup, HTML, or becomes a link by itself."""
    escaped = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return re.sub("[&<>]", lambda match: _ENTITIES[match[0]], escaped)


def _summary(title: str, response: Json, level: str) -> str:
    answers = "unfinished answers" if response["status"] == DRAFT_STATUS else "answers"
    return _fitted(title, f", {answers} of {response['authored'][:10]}: {level}")


def _fitted(beginning: str, end: str) -> str:
    """Both, the beginning cut where they are longer than a summary may be."""
    room = MAX_TITLE_LENGTH - len(end)
    if len(beginning) > room:
        beginning = f"{beginning[: max(room - 1, 0)]}…"
    return f"{beginning}{end}"[:MAX_TITLE_LENGTH]


def _paragraphs(result: Result) -> Iterator[str]:
    fired = result.assessment.fired
    deciding = [outcome for outcome in fired if outcome.rule.level == fired[0].rule.level]
    for outcome in deciding:
        yield f"**{_named(outcome)}**"
        yield "\n".join(f"- {line}" for line in _grounds(outcome))
    others = [outcome for outcome in fired if outcome not in deciding]
    if others:
        yield f"Also: {'; '.join(_named(outcome) for outcome in others)}."
    if result.assessment.not_assessed:
        yield f"Not assessed: {'; '.join(_named(outcome) for outcome in result.assessment.not_assessed)}."
    if result.assessment.is_draft:
        yield "The form was not finished: only the rules of the highest level were judged."
    if result.disclaimer:
        yield markdown(result.disclaimer)


def _grounds(outcome: RuleOutcome) -> Iterator[str]:
    """The answers behind a rule, and where it comes from."""
    for reason in outcome.reasons:
        when = "" if reason.told_on is None else f"On {reason.told_on}: "
        yield f"{when}“{markdown(reason.question)}” {markdown(', '.join(reason.answers)) or 'not answered'}"
    if outcome.fault is not None:
        yield "Not all of this could be evaluated."
    yield f"Source: {'; '.join(_cited(source) for source in outcome.rule.sources)}"


def _named(outcome: RuleOutcome) -> str:
    return markdown(f"{outcome.rule.id} {outcome.rule.title}")


def _cited(source: Source) -> str:
    citation = markdown(source.citation)
    if source.url is not None:
        citation = f"[{citation}]({quote(source.url, safe=':/?&=#%,;@+~$*!')})"
    return f"{citation}, {markdown(source.label)}"
