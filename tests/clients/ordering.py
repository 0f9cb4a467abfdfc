"""What each client is told to do with the API, and how it is run.

An order is one JSON object: `base` (the FHIR base), `client_id`, `client_secret` or `redirect_uri`, `scope`,
`canonical` (the Questionnaire's, with its version), `patient` (an id), `page_size`, and three QuestionnaireResponses
for that patient: `draft`, `named_draft` (the same, with an identifier) and `response` (completed, with another).

A client prints what it saw as one JSON object, without what it has no way to do:

- `questionnaires`: canonicals found by `canonical`, and by `version`;
- `severities` of the issues when `response` is judged;
- `draft` and `completed`: id, status and version of the draft when created, and when updated;
- `saved`: the same of `named_draft` after each of two updates by its identifier;
- `submitted`: the ids that two submissions of `response` were given; `read`: the resource, as read by id;
- `responses` and `conditions`: ids found by patient; `observations`: `ids`, `provenances` (ids of what came along) and
  the number of `pages`;
- `stale` (an update of a version that is no more), `anonymous` (without a token) and `forbidden`: the `type` of the
  client's own error, its HTTP `status`, and the `text` of our OperationOutcome.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from service.packs import shipped_pages
from tests.hapi.client import TEST_TAG_SYSTEM, Json

PATIENT = "1"
PAGE_SIZE = 5
PATIENCE_SECONDS = 120


class ClientFailed(RuntimeError):
    """A client stumbled; the text holds what it wrote."""


def order(base: str, app: Json, scope: str) -> Json:
    """The order for a client that is registered as `app` with the authorization server."""
    example = shipped_pages() / "muscle-fasciculation" / "examples" / "lithium-two-days.json"
    response: Json = json.loads(example.read_text(encoding="utf-8")) | {"subject": {"reference": f"Patient/{PATIENT}"}}
    del response["identifier"]
    draft = response | {"status": "in-progress"}
    return {
        "base": base,
        "client_id": app["client_id"],
        "client_secret": app.get("client_secret"),
        "redirect_uri": next(iter(app["redirect_uris"]), None),
        "scope": scope,
        "canonical": response["questionnaire"],
        "patient": PATIENT,
        "page_size": PAGE_SIZE,
        "draft": draft,
        "named_draft": draft | {"identifier": {"system": TEST_TAG_SYSTEM, "value": "a draft"}},
        "response": response | {"identifier": {"system": TEST_TAG_SYSTEM, "value": "an app's response & more"}},
    }


def run(command: Sequence[str], told: Json, folder: Path) -> Json:
    """What the client that `command` starts in `folder` saw. Raises ClientFailed."""
    done = subprocess.run(
        command,
        cwd=folder,
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ClientFailed(f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
    seen: Json = json.loads(done.stdout)
    return seen
