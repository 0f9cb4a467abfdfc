"""Reads the Parameters of $populate (SDC STU4, and the older names of its parameters)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.errors import Detail, Issue, IssueType, Malformed, NotSupported, Severity, error
from service.fhir.elements import choice_value
from service.fhir.json import Json
from service.fhir.structure import structure_issues

_PLACE: Final = "Parameters.parameter"
_CONTEXTS: Final = frozenset({"context", "launchContext"})
_QUESTIONNAIRES: Final = frozenset({"questionnaire", "questionnaireRef", "canonical"})
# Addresses and credentials that a caller would have us use.
_REFUSED: Final = frozenset({"dataEndpoint", "contentEndpoint", "terminologyEndpoint", "identifier"})


@dataclass(slots=True)
class PopulationRequest:
    """What one $populate asks for.

    `questionnaire` came inline, `canonical` names a published one; `contexts` are resources, `references` texts, by the
    name of a launch context or query; `data` are resources beside them; `local` allows the configured FHIR server to be
    asked; `partial` is a response that keeps its answers.
    """

    questionnaire: Json | None = None
    canonical: str | None = None
    subject: Json | None = None
    contexts: dict[str, list[Json]] = field(default_factory=dict)
    references: dict[str, list[str]] = field(default_factory=dict)
    data: list[Json] = field(default_factory=list)
    local: bool = False
    partial: Json | None = None
    issues: list[Issue] = field(default_factory=list)


def read_request(body: Json) -> PopulationRequest:
    """The request in `body`: Parameters, or a bare Questionnaire.

    Raises Malformed with what cannot be read, NotSupported for an address to be asked that came with the call.
    """
    faults = [issue for issue in structure_issues(body) if issue.is_error]
    if faults:
        raise Malformed(faults)
    if body["resourceType"] == "Questionnaire":
        return PopulationRequest(questionnaire=body)
    if body["resourceType"] != "Parameters":
        raise _malformed("$populate takes Parameters.", "resourceType")
    request = PopulationRequest()
    seen: set[str] = set()
    for index, parameter in enumerate(body.get("parameter", [])):
        name = parameter.get("name", "")
        place = f"{_PLACE}[{index}]"
        if name in seen and name not in (*_CONTEXTS, "content"):
            raise _malformed(f"The parameter '{name}' stands twice. Give it once.", place)
        seen.add(name)
        _read_parameter(request, name, parameter, place)
    if len(seen & _QUESTIONNAIRES) > 1:
        raise _malformed("Name the Questionnaire once: inline, by canonical, or by reference.", _PLACE)
    return request


def _read_parameter(request: PopulationRequest, name: str, parameter: Json, place: str) -> None:
    match name:
        case "questionnaire" | "questionnaireRef" | "canonical":
            _read_questionnaire(request, parameter, place)
        case "subject":
            request.subject = _typed(parameter, "valueReference", dict, place)
            if "reference" not in request.subject:
                raise _malformed("The subject is a reference such as Patient/1.", place)
        case "local":
            request.local = _typed(parameter, "valueBoolean", bool, place)
        case "data":
            request.data.append(_resource(parameter, place, "Bundle"))
        case "response":
            request.partial = _resource(parameter, place, "QuestionnaireResponse")
        case "content":
            _add_content(request, "", parameter, place)
        case _ if name in _CONTEXTS:
            _read_context(request, parameter, place)
        case _ if name in _REFUSED:
            text = f"'{name}' is not supported: data is asked from the configured FHIR server alone."
            if name == "identifier":
                text = "A Questionnaire is named by its canonical here. Send 'questionnaire' instead of 'identifier'."
            raise NotSupported([error(IssueType.NOT_SUPPORTED, text, place)])
        case _:
            text = f"The parameter '{name}' is not known here, and was not used."
            request.issues.append(Issue(Severity.WARNING, IssueType.NOT_SUPPORTED, text, place))


def _read_questionnaire(request: PopulationRequest, parameter: Json, place: str) -> None:
    if "resource" in parameter:
        request.questionnaire = _resource(parameter, place, "Questionnaire")
        return
    value = choice_value(parameter)
    named = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(named, str):
        raise _malformed("The Questionnaire comes inline, by canonical, or by reference.", place)
    request.canonical = named


def _read_context(request: PopulationRequest, parameter: Json, place: str) -> None:
    parts = list(_parts(parameter, place))
    names = [choice_value(part) for part, _ in parts if part.get("name") == "name"]
    contents = [(part, where) for part, where in parts if part.get("name") == "content"]
    named = names[0].get("code") if len(names) == 1 and isinstance(names[0], dict) else next(iter(names), None)
    if len(names) != 1 or not isinstance(named, str) or not contents:
        raise _malformed("A context has one part 'name', and parts 'content' with a resource or a reference.", place)
    for part, where in contents:
        _add_content(request, named, part, where)


def _add_content(request: PopulationRequest, name: str, part: Json, place: str) -> None:
    """One content: of a context by its name, or ("") an older `content`, whose Patient is the patient."""
    if "resource" in part:
        resource = _resource(part, place, None)
        if name:
            request.contexts.setdefault(name, []).append(resource)
        elif resource["resourceType"] == "Patient":
            request.contexts.setdefault("patient", []).append(resource)
        else:
            request.data.append(resource)
        return
    reference = _typed(part, "valueReference", dict, place).get("reference")
    if not isinstance(reference, str) or not name:
        raise _malformed("A content is a resource, or the reference of a named context.", place)
    request.references.setdefault(name, []).append(reference)


def _parts(parameter: Json, place: str) -> Iterator[tuple[Json, str]]:
    for index, part in enumerate(parameter.get("part", [])):
        yield part, f"{place}.part[{index}]"


def _resource(parameter: Json, place: str, kind: str | None) -> Json:
    resource = parameter.get("resource")
    if not isinstance(resource, dict) or (kind is not None and resource.get("resourceType") != kind):
        raise _malformed(f"The parameter needs a {kind or 'resource'} as its resource.", f"{place}.resource")
    return resource


def _typed(parameter: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    value = parameter.get(key)
    if not isinstance(value, kind):
        raise _malformed(f"The parameter needs a {key}.", place)
    return value


def _malformed(text: str, place: str) -> Malformed:
    return Malformed([error(IssueType.STRUCTURE, text, place, Detail.MALFORMED)])
