"""What the service makes of a response without keeping it: $validate, $assess, $extract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Detail, Invalid, Issue, IssueType, Malformed, NotSupported, error
from service.fhir.json import Json
from service.fhir.structure import structure_issues
from service.fhir.terminology import Terminology
from service.packs import Pack
from service.records.ports import Clock, NewId, Pages
from service.sdc.assessment import Assessment, assess
from service.sdc.compilation import compile_questionnaire
from service.sdc.context import ResponseContext
from service.sdc.explanation import triage_observation
from service.sdc.extraction import Extraction, compile_extraction, extract, transaction_bundle
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import TriagePlan
from service.sdc.validation import examine, validate

RESPONSE_TYPE: Final = "QuestionnaireResponse"

LookBack = Callable[[Pack, Json], tuple[Json, ...]]
"""Finds the earlier responses that facts of a response to a page read, the newest authored first."""

# Faults that leave every answer legible: what is missing is not assessed, what stands twice is said once, and what is
# hidden or combined amiss is read by the rules of the page. Any other fault could hide a danger sign, so nothing is
# concluded from such a response.
_LEGIBLE: Final = frozenset(
    {
        Detail.REQUIRED_MISSING,
        Detail.EXCLUSIVE_OPTION_COMBINED,
        Detail.ANSWER_NOT_ENABLED,
        Detail.CONSTRAINT_VIOLATED,
        Detail.TOO_MANY_ANSWERS,
        Detail.DUPLICATE_ANSWER,
    }
)

# Faults that leave what each answer says as it is: extraction copies answers, and concludes nothing from those that
# are missing, or of a value set that is not at hand.
_EXTRACTABLE: Final = _LEGIBLE | {
    Detail.VALUE_SET_UNRESOLVED,
    Detail.TOO_FEW_ANSWERS,
    Detail.CALCULATED_MISSING,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """An assessment, the plan it was made by, the answers it was made of, and the Observation that tells it."""

    plan: TriagePlan
    context: ResponseContext
    assessment: Assessment
    observation: Json


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Judges responses against the published pages, or against a Questionnaire that comes with the request."""

    pages: Pages
    clock: Clock
    new_id: NewId

    def validate(self, response: Json, inline: Json | None = None) -> list[Issue]:
        """All findings about `response`; empty when there is none. Neither subject nor authored is demanded."""
        try:
            questionnaire = self._questionnaire(response, inline)
        except (Invalid, Malformed) as refusal:
            return list(refusal.issues)
        return validate(questionnaire, response, self.clock())

    def assess(self, response: Json, language: str | None = None, look_back: LookBack | None = None) -> Judged:
        """The triage of `response`, drafts included, by the published page it names; told in `language`, if it can be.

        `look_back` finds what is kept of earlier responses; rules that look back see none without it.

        Raises Malformed (no QuestionnaireResponse) and Invalid (no such page, or answers that cannot be read).
        """
        _expect_response(response)
        pack = self.pages.resolve(_canonical(response))
        if pack is None:
            raise _unknown_questionnaire(response)
        if language is not None:
            pack = pack.in_language(language)
        context = self._legible(pack.questionnaire, response)
        if look_back is not None:
            context = context.looking_back(look_back(pack, response))
        assessment = assess(pack.plan, context)
        return Judged(pack.plan, context, assessment, triage_observation(pack.plan, assessment, context))

    def extract(self, response: Json, inline: Json | None = None) -> Json:
        """The transaction Bundle of what the Questionnaire says is to be extracted.

        Raises Malformed (no QuestionnaireResponse) and Invalid (no such Questionnaire, answers that cannot be read, or
        an extraction that cannot be carried out).
        """
        _expect_response(response)
        questionnaire, extraction = self._extraction(response, inline)
        context = self._extractable(questionnaire, response)
        return transaction_bundle(extract(extraction, context, self.new_id))

    def _questionnaire(self, response: Json, inline: Json | None) -> Questionnaire:
        _expect_response(response)
        if inline is not None:
            return compile_inline(inline)
        pack = self.pages.resolve(_canonical(response))
        if pack is None:
            raise _unknown_questionnaire(response)
        return pack.questionnaire

    def _extraction(self, response: Json, inline: Json | None) -> tuple[Questionnaire, Extraction]:
        if inline is not None:
            questionnaire = compile_inline(inline)
            return questionnaire, compile_extraction(questionnaire)
        pack = self.pages.resolve(_canonical(response))
        if pack is None:
            raise _unknown_questionnaire(response)
        return pack.questionnaire, pack.extraction

    def _legible(self, questionnaire: Questionnaire, response: Json) -> ResponseContext:
        return self._read(questionnaire, response, lambda issue: issue.detail in _LEGIBLE)

    def _extractable(self, questionnaire: Questionnaire, response: Json) -> ResponseContext:
        answered = frozenset(_answered(response))
        unanswered = {item.path for link_id, item in questionnaire.by_link_id.items() if link_id not in answered}

        def is_harmless(issue: Issue) -> bool:
            # What is wrong with an item of the Questionnaire matters where the item has an answer.
            unused = issue.detail is Detail.QUESTIONNAIRE_UNUSABLE and issue.expression in unanswered
            return unused or issue.detail in _EXTRACTABLE

        return self._read(questionnaire, response, is_harmless)

    def _read(
        self, questionnaire: Questionnaire, response: Json, is_harmless: Callable[[Issue], bool]
    ) -> ResponseContext:
        issues, context = examine(questionnaire, response, self.clock())
        faults = [issue for issue in issues if issue.is_error and not is_harmless(issue)]
        if faults or context is None:
            raise Invalid(faults or issues)
        return context


def _answered(node: Any) -> Iterator[str]:
    """The linkIds of the response items in `node`, of whatever shape, that hold an answer in or below them."""
    if isinstance(node, list):
        for child in node:
            yield from _answered(child)
    elif isinstance(node, dict):
        below = [link_id for child in node.values() for link_id in _answered(child)]
        if isinstance(node.get("linkId"), str) and (below or node.get("answer")):
            yield node["linkId"]
        yield from below


def compile_inline(definition: Json) -> Questionnaire:
    """The Questionnaire that came with a request, compiled with the value sets it contains.

    Raises Invalid when it is no Questionnaire of FHIR R4; a broken expression in it is an issue of what it judges.
    """
    if definition.get("resourceType") != "Questionnaire":
        text = "The parameter 'questionnaire' takes a Questionnaire."
        raise Invalid([error(IssueType.STRUCTURE, text, "Questionnaire", Detail.MALFORMED)])
    faults = [issue for issue in structure_issues(definition) if issue.is_error]
    if faults:
        raise Invalid(faults)
    return compile_questionnaire(definition, Terminology.of(definition.get("contained", ())))


def refuse_inline() -> NotSupported:
    """Why a triage takes no Questionnaire along: its rules are published with the page."""
    text = "$assess judges by the rules of a published page; a Questionnaire sent along has none. Leave it out."
    return NotSupported([error(IssueType.NOT_SUPPORTED, text, "Parameters.parameter")])


def _expect_response(response: Json) -> None:
    if response.get("resourceType") != RESPONSE_TYPE:
        text = f"A {RESPONSE_TYPE} is expected here."
        raise Malformed([error(IssueType.STRUCTURE, text, "resourceType", Detail.MALFORMED)])


def _canonical(response: Json) -> str:
    canonical = response.get("questionnaire")
    if not isinstance(canonical, str) or not canonical:
        text = "The response must name its questionnaire by canonical URL."
        raise Invalid([error(IssueType.REQUIRED, text, f"{RESPONSE_TYPE}.questionnaire", Detail.REQUIRED_MISSING)])
    return canonical


def _unknown_questionnaire(response: Json) -> Invalid:
    text = f"No questionnaire '{response['questionnaire']}' is published here. GET Questionnaire lists those that are."
    return Invalid([error(IssueType.NOT_FOUND, text, f"{RESPONSE_TYPE}.questionnaire", Detail.UNKNOWN_QUESTIONNAIRE)])
