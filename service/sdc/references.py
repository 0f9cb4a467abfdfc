"""Whom a response speaks of: the types its references may name, and that contained resources are there.

FHIR R4 QuestionnaireResponse (http://hl7.org/fhir/R4/questionnaireresponse-definitions.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.fhir.primitives import is_reference

_PEOPLE = ("Patient", "Practitioner", "PractitionerRole", "RelatedPerson")
_TARGETS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "basedOn": ("CarePlan", "ServiceRequest"),
        "partOf": ("Observation", "Procedure"),
        "encounter": ("Encounter",),
        "author": (*_PEOPLE, "Device", "Organization"),
        "source": _PEOPLE,
    }
)


def reference_issues(response: Json, subject_types: Sequence[str]) -> Iterator[Issue]:
    """The findings about the references of a response outside of its items.

    `subject_types` are those of the Questionnaire; none means any.
    """
    targets = {**_TARGETS, "subject": tuple(subject_types)}
    contained = {f"#{resource.get('id')}": str(resource["resourceType"]) for resource in response.get("contained", [])}
    for name, allowed in targets.items():
        held = response.get(name, [])
        for index, reference in enumerate(held if isinstance(held, list) else [held]):
            place = f"QuestionnaireResponse.{name}" + (f"[{index}]" if isinstance(held, list) else "")
            yield from _issues(reference, allowed, contained, place)


def _issues(reference: Json, allowed: Sequence[str], contained: Mapping[str, str], place: str) -> Iterator[Issue]:
    text, told = reference.get("reference"), reference.get("type")
    if text is not None and not is_reference(text):
        wanted = "Type/id, an absolute URL, urn:uuid:…, or # and the id of a contained resource"
        yield error(IssueType.VALUE, f"Write the reference as {wanted}.", place, Detail.INVALID_REFERENCE)
        return
    if text is not None and text.startswith("#") and text not in contained:
        missing = "The response contains no resource of this id. Contain it, or refer to it elsewhere."
        yield error(IssueType.NOT_FOUND, missing, place, Detail.INVALID_REFERENCE)
        return
    named = contained.get(text or "") or reference_type(text or "")
    if named is not None and told is not None and named != told:
        differing = f"The reference names a {named}, its type a {told}. Make them one."
        yield error(IssueType.VALUE, differing, f"{place}.type", Detail.INVALID_REFERENCE)
        return
    kind = named or told
    if kind is not None and allowed and kind not in allowed:
        wrong = f"This must refer to one of {', '.join(allowed)}, not to a {kind}."
        yield error(IssueType.VALUE, wrong, place, Detail.WRONG_TARGET)


def reference_type(text: str) -> str | None:
    """The resource type that a literal reference names; None where it does not tell (urn:uuid, #id, other URLs)."""
    kind = text.partition("/_history/")[0].rpartition("/")[0].rpartition("/")[2]
    return kind if kind[:1].isupper() and kind.isalpha() else None
