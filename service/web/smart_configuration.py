"""How callers of the API are known, as the API itself tells: to clients of SMART, and in its CapabilityStatement.

http://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

from collections.abc import Mapping

from service.fhir.json import Json

_OAUTH_URIS_EXTENSION = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_URIS: Mapping[str, str] = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "register": "registration_endpoint",
}
_SMART_ELEMENTS = (
    "issuer",
    "jwks_uri",
    *_OAUTH_URIS.values(),
    "token_endpoint_auth_methods_supported",
    "response_types_supported",
)
_LEVELS = ("patient", "user", "system")
_READ_ONLY = ("Observation", "Condition", "Provenance", "AuditEvent")
_SCOPES = (
    *(f"{level}/QuestionnaireResponse.crus" for level in _LEVELS),
    *(f"{level}/{kind}.rs" for level in _LEVELS for kind in _READ_ONLY),
)
_CAPABILITIES = ("permission-patient", "permission-user", "permission-v1", "permission-v2")
_CLIENTS: Mapping[str, str] = {
    "none": "client-public",
    "client_secret_basic": "client-confidential-symmetric",
    "client_secret_post": "client-confidential-symmetric",
    "private_key_jwt": "client-confidential-asymmetric",
}


def security_statement(metadata: Json | None, *, open_to_all: bool) -> Json:
    """`rest.security` of a CapabilityStatement; `metadata` is the authorization server's, where that is at hand."""
    if open_to_all:
        return {"description": "Open: no credentials are asked for. It listens on loopback by default."}
    endpoints = [
        {"url": name, "valueUri": metadata[element]}
        for name, element in _OAUTH_URIS.items()
        if metadata is not None and element in metadata
    ]
    extension = {"extension": [{"url": _OAUTH_URIS_EXTENSION, "extension": endpoints}]} if endpoints else {}
    return {
        **extension,
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}],
        "description": (
            "Bearer tokens with SMART scopes (v2, and v1). A patient's token opens that patient's data alone. "
            "What is published needs no token."
        ),
    }


def smart_document(metadata: Json) -> Json:
    """`.well-known/smart-configuration`, from the metadata of the authorization server (RFC 8414)."""
    told = {name: metadata[name] for name in _SMART_ELEMENTS if name in metadata}
    methods = metadata.get("code_challenge_methods_supported", [])
    ways = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return {
        **told,
        # SMART forbids plain.
        "code_challenge_methods_supported": [one for one in methods if one != "plain"],
        "grant_types_supported": metadata.get("grant_types_supported", ["authorization_code"]),
        "scopes_supported": [*_SCOPES],
        "capabilities": [*_CAPABILITIES, *sorted({_CLIENTS[one] for one in ways if one in _CLIENTS})],
    }
