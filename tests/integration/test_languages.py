"""The FHIR API in another language: artifacts that are read, found or packed, translated on the server."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.bootstrap import start
from service.config import load_settings
from service.fhir.models import model_issues
from service.fhir.translation import languages
from service.packs import Pack, assemble_pack
from service.web.app import create_app
from tests.integration.answers import MakeResponse, issues_of
from tests.translating import in_guillemets, translate

QUESTIONNAIRE = "/fhir/Questionnaire/muscle-fasciculation"
FRENCH = {"Accept-Language": "pt, fr-CA;q=0.8, en;q=0.5"}


@pytest.fixture(scope="module")
def bilingual(page: Pack) -> Pack:
    return assemble_pack(page.name, [translate(artifact, "fr") for artifact in deepcopy(page.artifacts)])


@pytest.fixture
def client(tmp_path: Path, bilingual: Pack) -> Iterator[FlaskClient]:
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), packs=(bilingual,))
    yield create_app(services.site()).test_client()
    services.store.close()


def test_a_questionnaire_that_is_asked_for_in_no_language_has_all_its_translations(
    client: FlaskClient, page: Pack
) -> None:
    answer = client.get(QUESTIONNAIRE)
    assert answer.json["title"] == page.title
    assert languages(answer.json) == {"es", "fr"}
    assert answer.headers["Content-Language"] == "en"
    assert "Accept-Language" in answer.vary


@pytest.mark.parametrize(("query", "headers"), [("?_language=fr", {}), ("", FRENCH), ("?_language=fr-BE", {})])
def test_a_questionnaire_is_read_in_french(
    client: FlaskClient, page: Pack, query: str, headers: dict[str, str]
) -> None:
    answer = client.get(f"{QUESTIONNAIRE}{query}", headers=headers)
    assert answer.json["title"] == in_guillemets(page.title)
    assert answer.json["language"] == "fr"
    assert answer.headers["Content-Language"] == "fr"
    assert model_issues(answer.json) == []


def test_the_parameter_stands_over_the_header(client: FlaskClient, page: Pack) -> None:
    assert client.get(f"{QUESTIONNAIRE}?_language=en", headers=FRENCH).json["title"] == page.title


@pytest.mark.parametrize("wanted", ["pt", "", "*", "fr;q=0", "x" * 5000])
def test_what_is_in_none_of_the_languages_is_read_as_it_is(client: FlaskClient, page: Pack, wanted: str) -> None:
    answer = client.get(QUESTIONNAIRE, headers={"Accept-Language": wanted})
    assert (answer.json["title"], answer.headers["Content-Language"]) == (page.title, "en")


def test_a_translation_has_a_version_of_its_own(client: FlaskClient) -> None:
    english, french = (client.get(f"{QUESTIONNAIRE}?_language={language}") for language in ("en", "fr"))
    assert english.headers["ETag"] != french.headers["ETag"]
    again = {"If-None-Match": french.headers["ETag"], **FRENCH}
    assert client.get(QUESTIONNAIRE, headers=again).status_code == 304
    assert client.get(QUESTIONNAIRE, headers={"If-None-Match": french.headers["ETag"]}).status_code == 200


def test_artifacts_are_found_in_french_also_by_strict_searches_and_page_by_page(client: FlaskClient) -> None:
    strict = {"Prefer": "handling=strict"}
    answer = client.get("/fhir/ValueSet?_language=fr&_count=1", headers=strict)
    assert answer.json["entry"][0]["resource"]["title"].startswith("«")
    assert answer.headers["Content-Language"] == "fr"
    following = next(link["url"] for link in answer.json["link"] if link["relation"] == "next")
    assert client.get(following).json["entry"][0]["resource"]["language"] == "fr"
    posted = client.post("/fhir/CodeSystem/_search", data={"_language": "fr"}, headers=strict)
    assert {entry["resource"].get("language") for entry in posted.json["entry"]} == {"en", "fr"}


def test_a_title_is_searched_as_the_page_has_it(client: FlaskClient) -> None:
    assert client.get("/fhir/Questionnaire?title=muscle", headers=FRENCH).json["total"] == 1


def test_records_are_in_no_other_language(client: FlaskClient) -> None:
    answer = client.get("/fhir/Observation?_language=fr", headers={"Prefer": "handling=strict"})
    assert [issue["code"] for issue in issues_of(answer)] == ["not-supported"]


@pytest.mark.parametrize(
    "address",
    [
        "/fhir/Questionnaire/muscle-fasciculation/$questionnaire-package",
        "/fhir/Questionnaire/$questionnaire-package?url=https://symptom-intake.example/fhir/Questionnaire/muscle-fasciculation",
    ],
)
def test_a_package_is_read_in_french(client: FlaskClient, page: Pack, address: str) -> None:
    entries = client.get(address, headers=FRENCH).json["entry"]
    assert entries[0]["resource"]["title"] == in_guillemets(page.title)
    plan = next(one["resource"] for one in entries if one["resource"]["resourceType"] == "PlanDefinition")
    assert plan["action"][0]["textEquivalent"].startswith("«")


def test_a_response_in_the_words_of_a_translation_is_valid_without_a_warning(
    client: FlaskClient, bilingual: Pack, make_response: MakeResponse
) -> None:
    french = bilingual.in_language("fr").questionnaire.by_link_id
    response = make_response()
    for group in response["item"]:
        group["text"] = french[group["linkId"]].text
        for item in group["item"]:
            item["text"] = french[item["linkId"]].text
    outcome = client.post("/fhir/QuestionnaireResponse/$validate", json=response).json
    assert [issue["severity"] for issue in outcome["issue"]] == ["information"]
