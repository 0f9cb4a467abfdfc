"""However a response is amended, its record ends as if the last answers had been the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.adapters.database import Database
from service.bootstrap import Services, start
from service.config import load_settings
from service.errors import DomainError
from service.fhir.elements import is_entered_in_error
from service.fhir.models import model_issues
from service.packs.check import invariant_issues
from service.records.bundle import transaction_bundle
from service.records.parcel import parcel_of
from tests.fuzz.test_evaluation import PACK, RESPONSES, mutated

Json = dict[str, Any]
OF_ITS_TIME = ("meta", "issued", "recordedDate", "text")
SUBJECT = {"subject": {"reference": "Patient/1"}, "status": "completed"}


@pytest.fixture(scope="module")
def amending() -> Iterator[Services]:
    yield from opened()


@pytest.fixture(scope="module")
def fresh() -> Iterator[Services]:
    yield from opened()


def opened() -> Iterator[Services]:
    with TemporaryDirectory() as folder:
        services = start(load_settings(database_url=f"sqlite:///{Path(folder) / 'intake.db'}"), packs=(PACK,))
        with closing(services.store):
            yield services


def said(store: Database, response_id: str, version: str) -> dict[str, Json]:
    """What stands in the record and is not void, by identity, whenever it was said and in which version."""
    record = [one for one in store.record(response_id, int(version))[1:] if one["resourceType"] != "Provenance"]
    standing = [one for one in record if not is_entered_in_error(one)]
    final = {"status": "final"}
    return {
        one["id"]: {name: value for name, value in one.items() if name not in OF_ITS_TIME}
        | (final if one.get("status") == "amended" else {})
        for one in standing
    }


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    sent=st.lists(
        st.sampled_from(RESPONSES).flatmap(lambda one: mutated({**one, **SUBJECT}, 1)), min_size=2, max_size=4
    )
)
def test_the_record_is_that_of_the_last_answers(amending: Services, fresh: Services, sent: list[Json]) -> None:
    response_id, store = str(uuid4()), amending.store
    receipt = None
    for body in sent:
        with suppress(DomainError):
            if receipt is None:
                receipt = amending.intake.save(body, response_id, 0)
            else:
                receipt = amending.intake.update({**body, "id": response_id}, response_id, None)
            last = body
    if receipt is None or receipt.response["status"] not in ("completed", "amended"):
        return
    first = fresh.intake.save({**last, "status": receipt.response["status"]}, response_id, 0)
    assert said(store, response_id, receipt.version_id) == said(fresh.store, response_id, first.version_id)

    record = store.record(response_id, int(receipt.version_id))
    assert len({one["id"] for one in record}) == len(record)
    assert model_issues(transaction_bundle(parcel_of(record, ()))) == []
    assert [issue for one in record for issue in invariant_issues(one)] == []
