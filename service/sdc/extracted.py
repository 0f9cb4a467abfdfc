"""What extraction gives: resources with their Bundle.entry.request, and the expressions that decide about the latter.

SDC STU4 has one group of sub-extensions for it, in templateExtract, definitionExtract and observationExtractEntry:
fullUrl, resourceId, ifNoneMatch, ifModifiedSince, ifMatch, ifNoneExist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.errors import IssueType
from service.fhir.elements import extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_id, is_instant, is_uri
from service.fhirpath import json_value
from service.fhirpath.model import is_type
from service.sdc import vocabulary as sdc
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError, ExtractionExpression, View

NewId = Callable[[], str]
"""Gives a fresh UUID as text."""

_CONDITIONS: Final = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "fullUrl": is_uri,
    "resourceId": is_id,
    "ifModifiedSince": is_instant,
}
_PATCH_URL: Final = "patchRequestUrl"
_NEEDS_VALUE: Final = frozenset({"add", "insert", "replace"})


@dataclass(frozen=True, slots=True)
class Extracted:
    """One entry of the transaction and where it comes from.

    `template` is the id of the contained template, the canonical of the definition, or "observation"; `item_path` the
    linkIds to the item ("" for the root), `answer_key` what tells an answer of a repeating question from its siblings
    ("system|code", or its text; None elsewhere). `request` is its Bundle.entry.request. `resource` is empty where a
    Bundle template asks for a deletion. Parts of it may be shared with the Questionnaire and the response: copy it
    before changing it.
    """

    resource: Json
    template: str
    item_path: str
    answer_key: str | None
    full_url: str
    request: Json


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a response something is extracted: see Extracted."""

    item_path: str = ""
    answer_key: str | None = None


@dataclass(frozen=True, slots=True)
class EntryExpressions:
    """The expressions for the Bundle entry of one extracted resource, by property; `path` is where they stand."""

    path: str
    by_property: Mapping[str, ExtractionExpression]

    def entry(self, resource: Json, template: str, origin: Origin, view: View, new_id: NewId) -> Extracted:
        """`resource` as an entry: created, or updated when it has an id or is given one.

        Raises ExtractionError when an expression gives what its property cannot be.
        """
        if not self.by_property:
            return entry(resource, template, origin, f"urn:uuid:{new_id()}", {})
        values = {name: value for name in self.by_property if (value := self._value(name, view)) is not None}
        full_url = values.get("fullUrl") or f"urn:uuid:{new_id()}"
        conditions: Json = {name: values[name] for name in _CONDITIONS if name in values}
        if self.patches:
            if _PATCH_URL not in values:
                raise ExtractionError(self.path, "A FHIRPath Patch needs the URL of the resource to change.")
            request = {"method": "PATCH", "url": values[_PATCH_URL], **conditions}
            return Extracted(resource, template, origin.item_path, origin.answer_key, full_url, request)
        if "resourceId" in values:
            resource = {"resourceType": resource["resourceType"], "id": values["resourceId"], **resource}
        return entry(resource, template, origin, full_url, conditions)

    @property
    def patches(self) -> bool:
        """True when the entry changes a resource by a FHIRPath Patch."""
        return _PATCH_URL in self.by_property

    def _value(self, name: str, view: View) -> str | None:
        found = self.by_property[name].result(view)
        value = None if found is None else json_value(found)
        if value is None:
            return None
        if name == "resourceId" and isinstance(value, str):
            # An allocated id is a urn, of which the uuid may be the id of a resource.
            value = value.removeprefix("urn:uuid:")
        if not isinstance(value, str) or not _CHECKS.get(name, bool)(value):
            raise ExtractionError(self.path, f"{name} gives what it cannot be.")
        return value


def compile_entry(
    extension: Json, path: str, names: frozenset[str], expressions: ExpressionCompiler, patched: str | None = None
) -> EntryExpressions:
    """The entry's expressions in a templateExtract, definitionExtract or observationExtractEntry `extension`.

    `patched` is the expression for the URL of what a FHIRPath Patch changes.
    """
    sources = {name: extension_value(extension, name) for name in ("fullUrl", "resourceId", *_CONDITIONS)}
    sources[_PATCH_URL] = patched
    compiled = {
        name: expressions.compile(source, path, names) for name, source in sources.items() if source is not None
    }
    return EntryExpressions(path, {name: found for name, found in compiled.items() if found is not None})


def entry(resource: Json, template: str, origin: Origin, full_url: str, more: Json) -> Extracted:
    """`resource` as the entry that creates it, or updates it when it has an id; `more` is added to the request."""
    kind, identity = resource["resourceType"], resource.get("id")
    request = {"method": "PUT", "url": f"{kind}/{identity}"} if identity else {"method": "POST", "url": kind}
    return Extracted(resource, template, origin.item_path, origin.answer_key, full_url, {**request, **more})


def patch_url(extension: Json, template: Json, path: str, expressions: ExpressionCompiler) -> str | None:
    """The expression for what is patched, when `template` is a FHIRPath Patch; an issue more when there is none.

    http://hl7.org/fhir/R4/fhirpatch.html. SDC STU4 leaves open how a templateExtract names the resource that a patch
    changes; both sub-extensions of the Smart Forms implementation guide are understood: the URL, or `type` beside
    resourceId.
    """
    if not is_patch(template):
        return None
    found: str | None = extension_value(extension, sdc.PATCH_REQUEST_URL)
    kind, identity = extension_value(extension, "type"), extension_value(extension, "resourceId")
    if found is None and isinstance(kind, str) and is_type(kind) and identity is not None:
        return f"'{kind}/' + ({identity})"
    if found is None:
        text = f"A FHIRPath Patch needs the URL of what it changes, as {sdc.PATCH_REQUEST_URL}."
        expressions.refuse(IssueType.REQUIRED, text, path)
    return found


def is_patch(resource: Json) -> bool:
    """True for Parameters that are a FHIRPath Patch."""
    parameters = resource.get("parameter", [])
    return (
        resource.get("resourceType") == "Parameters"
        and bool(parameters)
        and all(parameter.get("name") == "operation" for parameter in parameters)
    )


def effective_patch(patch: Json) -> Json | None:
    """`patch` without the operations whose value was not found; None when none is left."""
    operations = [operation for operation in patch.get("parameter", []) if _is_complete(operation)]
    return {**patch, "parameter": operations} if operations else None


def _is_complete(operation: Json) -> bool:
    parts = {part.get("name"): part for part in operation.get("part", [])}
    return parts.get("type", {}).get("valueCode") not in _NEEDS_VALUE or "value" in parts


def transaction_bundle(extracted: Sequence[Extracted]) -> Json:
    """The extracted entries as a FHIR transaction Bundle."""
    entries = [_bundle_entry(found) for found in extracted]
    bundle: Json = {"resourceType": "Bundle", "type": "transaction"}
    return {**bundle, "entry": entries} if entries else bundle


def _bundle_entry(found: Extracted) -> Json:
    if not found.resource:
        return {"request": found.request}
    return {"fullUrl": found.full_url, "resource": found.resource, "request": found.request}
