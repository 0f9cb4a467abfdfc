"""Static checks of a page: what would only be seen when a patient answers is refused before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Any, Final

from service.errors import DomainError, Issue, IssueType, error
from service.fhir.elements import choice_key, extension_value
from service.fhir.json import Json
from service.fhir.models import model_issues
from service.fhir.r4_terminology import listed_codings
from service.fhirpath import Expression, FhirPathError, compile_expression
from service.packs.pack import Pack
from service.packs.samples import sample_responses
from service.sdc import vocabulary as sdc
from service.sdc.context import read_response
from service.sdc.extraction import extract
from service.sdc.form import form_issues
from service.sdc.support import unsupported_features
from service.sdc.triage import Priority

_CREATES_ONLY = (
    "A page's resources are created with identities of this service; an update, a patch or a condition of its own "
    "would be lost on delivery. Leave resourceId, ifMatch, ifNoneExist and the like out."
)
_CHECKED_AT = datetime(2020, 1, 1, tzinfo=UTC)


def check_pack(pack: Pack) -> list[Issue]:
    """Everything that makes a compiled page unfit to be served; empty when it is fit.

    Each artifact and each resource that a template gives for sample answers passes its fhir.resources R4B model and
    the invariants that those models leave out; every linkId in an expression or enableWhen is one of the page's.
    """
    issues = [issue for one in pack.artifacts for issue in (*model_issues(one), *_state_issues(one))]
    issues.extend(unsupported_features(pack.questionnaire.definition))
    issues.extend(form_issues(pack.questionnaire))
    issues.extend(_identity_issues(pack))
    issues.extend(_link_id_issues(pack))
    issues.extend(_condition_issues(pack))
    issues.extend(_priority_issues(pack))
    issues.extend(pack.layout.issues)
    # Samples of a page that is wrong so far would only say the same again.
    return issues or list(_template_issues(pack))


def _identity_issues(pack: Pack) -> Iterator[Issue]:
    identity = pack.questionnaire.definition.get("id")
    if identity != pack.name:
        text = f"The Questionnaire's id is '{identity}', but its folder is '{pack.name}'. Make them one."
        yield error(IssueType.VALUE, text, "Questionnaire.id")
    if "|" in pack.version:
        text = "A version holds no '|', which parts it from the url in a canonical."
        yield error(IssueType.VALUE, text, "Questionnaire.version")
    seen: set[tuple[str, str]] = set()
    for artifact in pack.artifacts:
        kind = artifact["resourceType"]
        key = kind, str(artifact.get("id"))
        if "id" not in artifact or "url" not in artifact:
            yield error(IssueType.REQUIRED, "A published artifact needs id and url.", kind)
        elif key in seen:
            yield error(IssueType.DUPLICATE, f"Two artifacts are {kind}/{artifact['id']}.", f"{kind}.id")
        seen.add(key)


def _link_id_issues(pack: Pack) -> Iterator[Issue]:
    known = pack.questionnaire.by_link_id
    for path, expression in expressions(pack):
        for link_id in sorted(expression.link_ids - known.keys()):
            yield error(IssueType.NOT_FOUND, f"The expression asks for '{link_id}', which is no item.", path)


def expressions(pack: Pack) -> Iterator[tuple[str, Expression]]:
    """Every expression of a page that is evaluated, with the element it stands on."""
    questionnaire = pack.questionnaire
    for variable in questionnaire.variables:
        yield f"Questionnaire.extension (variable {variable.name})", variable.expression
    for item in questionnaire.by_link_id.values():
        if item.enable_expression is not None:
            yield item.path, item.enable_expression
        for constraint in item.constraints:
            yield item.path, constraint.expression
        for variable in item.variables:
            yield item.path, variable.expression
    for link_id, plan in pack.population.items.items():
        for source in (plan.initial, plan.context):
            if isinstance(source, Expression):
                yield questionnaire.by_link_id[link_id].path, source
    for index, template in enumerate(questionnaire.definition.get("contained", [])):
        yield from _template_expressions(template, f"Questionnaire.contained[{index}]")
    for index, rule in enumerate(pack.plan.rules):
        yield f"PlanDefinition.action[{index}].condition[0]", rule.expression
    for advice in pack.plan.advice:
        if advice.expression is not None:
            yield f"PlanDefinition.contained (action {advice.id})", advice.expression


def _template_expressions(node: Any, path: str) -> Iterator[tuple[str, Expression]]:
    """The extraction expressions in a template; they compile, or there would be no pack."""
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _template_expressions(child, f"{path}[{index}]")
    elif isinstance(node, dict):
        for url in (sdc.TEMPLATE_EXTRACT_CONTEXT, sdc.TEMPLATE_EXTRACT_VALUE):
            source = extension_value(node, url)
            text = source.get("expression") if isinstance(source, dict) else source
            if isinstance(text, str):
                yield path, compile_expression(text)
        for key, child in node.items():
            if key != "extension":
                yield from _template_expressions(child, f"{path}.{key.removeprefix('_')}")


def _condition_issues(pack: Pack) -> Iterator[Issue]:
    """An enableWhen that waits for an answer which its question cannot have never shows its item."""
    for item in pack.questionnaire.by_link_id.values():
        for index, condition in enumerate(item.conditions):
            question = pack.questionnaire.by_link_id[condition.question]
            if condition.value_key != "valueCoding" or not question.options:
                continue
            wanted = {option.value.get("valueCoding", {}).get("code") for option in question.options}
            if condition.answer.get("code") not in wanted:
                text = f"'{condition.question}' has no option '{condition.answer.get('code')}'."
                yield error(IssueType.CODE_INVALID, text, f"{item.path}.enableWhen[{index}].answerCoding")


def _priority_issues(pack: Pack) -> Iterator[Issue]:
    """Each level has one priority, and a higher level none that is lower: clinicians are told no less than patients."""
    rank = list(Priority).index
    for index, action in enumerate(pack.plan.definition["action"]):
        if "priority" not in action:
            text = f"The rule {action['id']} needs a priority: {', '.join(Priority)}."
            yield error(IssueType.REQUIRED, text, f"PlanDefinition.action[{index}].priority")
    for lower, higher in pairwise(sorted(pack.plan.rules, key=lambda rule: (rule.level, rank(rule.priority)))):
        is_parallel = rank(lower.priority) <= rank(higher.priority)
        if not is_parallel or (lower.level == higher.level and lower.priority is not higher.priority):
            text = f"The priorities of {lower.id} and {higher.id} do not go with their levels."
            yield error(IssueType.VALUE, text, "PlanDefinition.action.priority")


def _template_issues(pack: Pack) -> Iterator[Issue]:
    seen: set[tuple[str, str | None]] = set()
    for response in sample_responses(pack.questionnaire):
        numbers = count()
        try:
            context = read_response(pack.questionnaire, response, _CHECKED_AT)
            found = extract(pack.extraction, context, lambda: f"{next(numbers)}")  # noqa: B023
        except (DomainError, FhirPathError) as fault:
            yield error(IssueType.PROCESSING, f"A sample answer cannot be extracted: {fault}", "Questionnaire")
            return
        for extracted in found:
            path = f"Questionnaire.contained ({extracted.template})"
            if extracted.request.keys() != {"method", "url"} or extracted.request["method"] != "POST":
                yield error(IssueType.NOT_SUPPORTED, _CREATES_ONLY, path)
                return
            for issue in (*model_issues(extracted.resource), *invariant_issues(extracted.resource)):
                text = f"A sample answer gives a wrong resource: {issue.text} ({issue.expression})"
                if (path, text) not in seen:
                    seen.add((path, text))
                    yield error(issue.code, text, path)


def invariant_issues(resource: Json) -> Iterator[Issue]:
    """What R4 asks of `resource` and the models do not hold: codes of its states, obs-6, obs-7, con-3, con-4, con-5."""
    yield from _state_issues(resource)
    match resource.get("resourceType"):
        case "Observation":
            yield from _observation_issues(resource)
        case "Condition":
            yield from _condition_resource_issues(resource)


_STATES: Final = {
    ("Questionnaire", "status"): "publication-status",
    ("PlanDefinition", "status"): "publication-status",
    ("Observation", "status"): "observation-status",
    ("Condition", "clinicalStatus"): "condition-clinical",
    ("Condition", "verificationStatus"): "condition-ver-status",
}
"""Elements whose codes R4 fixes, by the names of their value sets."""


def _state_issues(resource: Json) -> Iterator[Issue]:
    for (kind, name), value_set in _STATES.items():
        if resource.get("resourceType") != kind or name not in resource:
            continue
        told = resource[name]
        codes = {told} if isinstance(told, str) else {code for _, code in _codings(told)}
        allowed = [coding["code"] for coding in listed_codings(f"http://hl7.org/fhir/ValueSet/{value_set}") or ()]
        for code in sorted(str(one) for one in codes - set(allowed)):
            text = f"'{code}' is no {name} of {kind}. Use one of {', '.join(allowed)}."
            yield error(IssueType.CODE_INVALID, text, f"{kind}.{name}")


def _observation_issues(observation: Json) -> Iterator[Issue]:
    key = choice_key(observation)
    if key is not None and "dataAbsentReason" in observation:
        text = "obs-6: an Observation has a value or a dataAbsentReason, not both."
        yield error(IssueType.INVARIANT, text, "Observation.dataAbsentReason")
    codings = _codings(observation.get("code", {}))
    if key is not None and any(_codings(part.get("code", {})) & codings for part in observation.get("component", [])):
        text = "obs-7: a component must not have the code of its Observation."
        yield error(IssueType.INVARIANT, text, "Observation.component")


def _condition_resource_issues(condition: Json) -> Iterator[Issue]:
    clinical = {code for _, code in _codings(condition.get("clinicalStatus", {}))}
    verification = {code for _, code in _codings(condition.get("verificationStatus", {}))}
    category = {code for element in condition.get("category", []) for _, code in _codings(element)}
    if "entered-in-error" in verification and clinical:
        yield error(IssueType.INVARIANT, "con-5: no clinicalStatus when entered in error.", "Condition.clinicalStatus")
    if not clinical and "entered-in-error" not in verification and "problem-list-item" in category:
        yield error(IssueType.INVARIANT, "con-3: a problem needs a clinicalStatus.", "Condition.clinicalStatus")
    abated = any(key.startswith("abatement") for key in condition)
    if abated and not clinical & {"inactive", "resolved", "remission"}:
        yield error(IssueType.INVARIANT, "con-4: what is abated is inactive.", "Condition.clinicalStatus")


def _codings(concept: Json) -> set[tuple[str | None, str | None]]:
    return {(coding.get("system"), coding.get("code")) for coding in concept.get("coding", [])}
