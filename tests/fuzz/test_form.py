"""Whatever is posted to a form is answered: with the page again, the next one, or a refusal; never with a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from service.bootstrap import start
from service.config import load_settings
from service.fhir.structure import structure_issues
from service.packs import load_pack, load_packs, shipped_pages
from service.records.drafts import draft_id
from service.web.app import create_app
from tests.integration.forms.everything import write_page

# More than a form shows: questions of other steps, parts and repetitions that there are not.
PARTS = ("", ".other", ".day", ".month", ".year", ".time", ".unit", ".confirm", ".rows", "~0", "~1", "~0.year", "~99")
TEXTS = st.one_of(
    st.sampled_from(
        ["none", "heart", "yes", "1", "0", "2026", "13", "31", "cm", "tea", "9" * 40, "1e9", "-1", " ", "\x00"]
    ),
    st.text(max_size=20),
)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FlaskClient, Any]]:
    with TemporaryDirectory() as folder:
        packs = (*load_packs(shipped_pages()), load_pack(write_page(Path(folder))))
        services = start(load_settings(database_url=f"sqlite:///{folder}/intake.db"), packs=packs)
        yield create_app(services.site()).test_client(), services
        services.store.close()


def names(services: Any, page: str) -> list[str]:
    pack = next(one for one in services.library.published if one.name == page)
    return [*pack.questionnaire.by_link_id, "key", "offset", "patient", "from", "asked", "action"]


@pytest.mark.parametrize("page", ["everything-en", "muscle-fasciculation"])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
def test_any_form_is_answered_and_only_fhir_is_kept(
    served: tuple[FlaskClient, Any], page: str, data: st.DataObject
) -> None:
    client, services = served
    key = f"the key of a draft of {page}"
    link_ids = names(services, page)
    fields = st.tuples(st.sampled_from(link_ids), st.sampled_from(PARTS)).map("".join)
    asked = st.lists(st.sampled_from(link_ids), max_size=12)
    pairs = data.draw(st.lists(st.tuples(fields, TEXTS), max_size=16))
    action = data.draw(
        st.sampled_from(["", "later", "add:names", "add:medicine", "remove:medicine:0", "remove:x:9", ":"])
    )
    form = MultiDict([*pairs, ("action", action), ("key", key), *(("asked", name) for name in data.draw(asked))])
    id_ = draft_id(key)
    step = data.draw(st.sampled_from(["1", "2", "3", "4", "5", "99", "check", "1/shown", "3/shown"]))
    answer = client.post(f"/forms/{page}/{id_}/{step}", data=form, headers={"Accept": "text/html"})
    assert answer.status_code in (200, 303, 403, 404, 409, 422), answer.get_data(as_text=True)
    kept = services.store.read("QuestionnaireResponse", id_)
    if kept is not None:
        assert structure_issues(kept) == []
        assert not any(issue.is_error for issue in services.evaluation.validate(kept))
    for place in ("", "/1", "/2", "/check", "/urgent"):
        assert client.get(f"/forms/{page}/{id_}{place}?key={key}").status_code < 500
