"""What a FHIR server must be given before its $validate can judge our artifacts and what is made with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.hapi.client import FhirClient, Json

# A Questionnaire's launch context is coded with it, by a required binding. HAPI does not bring SDC's code systems, and
# remembers for a while that it knew none: it must be there before the first Questionnaire is validated.
LAUNCH_CONTEXT: Json = {
    "resourceType": "CodeSystem",
    "url": "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "concept": [
        {"code": code} for code in ("patient", "encounter", "location", "user", "study", "clinical")
    ],
}  # fmt: skip
# Without the page's own CodeSystems its codes would be no more than a warning; without its Questionnaire the answers of
# a response are not looked at. ValueSets rest on CodeSystems, so they come after them.
ORDER = ("CodeSystem", "ValueSet", "Questionnaire")


def publish(client: FhirClient, artifacts: Iterable[Json]) -> list[str]:
    """Make the server know SDC's launch contexts and the page's `artifacts`; the references to withdraw later."""
    by_kind = sorted((one for one in artifacts if one["resourceType"] in ORDER), key=_position)
    known = client.search("CodeSystem", url=LAUNCH_CONTEXT["url"])
    foreign = [] if known else [_location(client.create(LAUNCH_CONTEXT))]
    return [*foreign, *(_location(_put(client, artifact)) for artifact in by_kind)]


def withdraw(client: FhirClient, references: Sequence[str]) -> None:
    """Delete what was published, what rests on other things first. Raises requests.HTTPError when that fails."""
    for reference in reversed(references):
        client.request("DELETE", reference).raise_for_status()


def errors(outcome: Json) -> list[str]:
    """The errors of an OperationOutcome, as place and text."""
    assert outcome["resourceType"] == "OperationOutcome"
    return [
        f"{issue.get('location', ['?'])[0]}: {issue.get('diagnostics')}"
        for issue in outcome["issue"]
        if issue["severity"] in {"error", "fatal"}
    ]


def verdict(client: FhirClient, resource: Json) -> list[str]:
    """The errors that the server's $validate finds in `resource`."""
    answer = client.request("POST", f"{resource['resourceType']}/$validate", resource)
    return errors(answer.json())


def _put(client: FhirClient, artifact: Json) -> Json:
    """The artifact as stored, in the place of an earlier one of the same canonical url."""
    body = {name: value for name, value in artifact.items() if name != "id"}
    path = f"{artifact['resourceType']}?url={artifact['url']}"
    answer = client.request("PUT", path, body, Prefer="return=representation")
    answer.raise_for_status()
    stored: Json = answer.json()
    return stored


def _position(artifact: Json) -> int:
    return ORDER.index(artifact["resourceType"])


def _location(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
