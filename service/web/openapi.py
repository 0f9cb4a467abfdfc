"""The FHIR API as an OpenAPI 3.1 description, for tools that know no CapabilityStatement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from service.fhir.json import Json, parse
from service.web.capability import OPERATIONS, ResourceCapability, capabilities
from service.web.content import FHIR_JSON, FORM, PLAIN_JSON
from service.web.publications import LANGUAGE, PUBLISHED_TYPES

_METHODS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "validate": (("post",), ("get", "post")),
    "assess": (("post",), ("get", "post")),
    "extract": (("post",), ("get", "post")),
    "populate": (("post",), ("post",)),
    "questionnaire-package": (("get", "post"), ("get", "post")),
}
"""How each operation is called: on the type, and on one resource."""

_RESULT_PARAMETERS: Final = ("_count", "_offset", "_sort", "_summary")
# What tells resources apart and, of a response, what a client fills in; the rest is FHIR R4's to say.
_SCHEMAS: Final = Path(__file__).with_name("openapi-schemas.json")
_CREATION_HEADERS: Final = ("If-None-Exist", "Idempotency-Key")


def openapi(base: str, version: str, *, is_open: bool) -> Json:
    """The description of the API at `base` (a URL), which asks for a token unless it `is_open`."""
    paths: dict[str, Json] = {
        "/metadata": {"get": _operation("The CapabilityStatement.")},
        "/.well-known/smart-configuration": {
            "get": _operation("Where access tokens come from.", media_type=PLAIN_JSON)
        },
    }
    for capability in capabilities():
        for path, methods in _resource_paths(capability):
            paths.setdefault(path, {}).update(methods)
    bearer = {"type": "http", "scheme": "bearer", "description": "An access token with SMART scopes."}
    secured: Json = {} if is_open else {"security": [{}, {"bearer": []}]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Symptom Intake", "version": version, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": base}],
        "paths": paths,
        **secured,
        "components": {"schemas": parse(_SCHEMAS.read_bytes()), "securitySchemes": {"bearer": bearer}},
    }


def _resource_paths(capability: ResourceCapability) -> Iterator[tuple[str, Json]]:
    kind, offered = capability.type, capability.interactions
    one, many = f"/{kind}/{{id}}", f"/{kind}"
    if "read" in offered:
        language = (LANGUAGE,) if kind in PUBLISHED_TYPES else ()
        yield one, {"get": _operation(f"Reads a {kind}.", path=("id",), query=language, headers=("If-None-Match",))}
    if "vread" in offered:
        yield (
            f"{one}/_history/{{version}}",
            {"get": _operation(f"Reads one version of a {kind}.", path=("id", "version"))},
        )
    if "history-instance" in offered:
        yield f"{one}/_history", {"get": _operation("All its versions, newest first.", path=("id",))}
    if "search-type" in offered:
        names = (*capability.parameters, *_RESULT_PARAMETERS, *(["_revinclude"] if capability.reverse_includes else []))
        names += (LANGUAGE,) if kind in PUBLISHED_TYPES else ()
        form = {FORM: {"schema": {"type": "object", "properties": {name: {"type": "string"} for name in names}}}}
        yield many, {"get": _operation(f"Searches for {kind}.", query=names)}
        yield f"{many}/_search", {"post": _operation("The same, as a form.", body=form)}
    if "create" in offered:
        yield many, {"post": _operation(f"Submits a {kind}.", headers=_CREATION_HEADERS, body=_body(kind))}
    if "update" in offered:
        put = partial(_operation, headers=("If-Match", "X-Provenance"), body=_body(kind))
        yield one, {"put": put(f"Replaces a {kind}.", path=("id",))}
        yield many, {"put": put(f"Replaces the {kind} of this identifier, or creates it.", query=("identifier",))}
    for name in OPERATIONS.get(kind, {}):
        on_type, on_instance = _METHODS[name]
        yield f"{many}/${name}", {method: _called(name, method) for method in on_type}
        yield f"{one}/${name}", {method: _called(name, method, path=("id",)) for method in on_instance}


def _called(name: str, method: str, path: tuple[str, ...] = ()) -> Json:
    asked: tuple[str, ...] = ()
    if (name, method) == ("questionnaire-package", "get"):
        asked = (LANGUAGE,) if path else ("url", "version", LANGUAGE)
    body = _body("Parameters", "QuestionnaireResponse") if method == "post" else None
    return _operation(f"The operation ${name}.", path=path, query=asked, body=body)


def _operation(
    summary: str,
    *,
    path: tuple[str, ...] = (),
    query: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    body: Json | None = None,
    media_type: str = FHIR_JSON,
) -> Json:
    parameters = [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for place, names in (("path", path), ("query", query), ("header", headers))
        for name in names
    ]
    schema = _named("Resource") if media_type == FHIR_JSON else {"type": "object"}
    answers: Json = {
        "2XX": {"description": "Done.", "content": {media_type: {"schema": schema}}},
        "304": {"description": "Not changed."},
        "default": {
            "description": "Refused; the OperationOutcome says why.",
            "content": {FHIR_JSON: {"schema": _named("OperationOutcome")}},
        },
    }
    described: Json = {"summary": summary, "parameters": parameters, "responses": answers}
    return described if body is None else {**described, "requestBody": {"required": True, "content": body}}


def _body(*kinds: str) -> Json:
    schemas = [_named(kind) for kind in kinds]
    return {FHIR_JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _named(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
