"""How much one client may ask for."""

from __future__ import annotations

from service.bootstrap import Services
from service.web.app import create_app
from tests.integration.access.conftest import EVERYTHING, Api, MakeServices
from tests.integration.answers import issues_of
from tests.integration.issuer import Issuer

PATH = "/fhir/Observation"


def _api(make_services: MakeServices, issuer: Issuer, rate_limit: str) -> Api:
    services = make_services(rate_limit=rate_limit)
    return Api(create_app(services.site()).test_client(), issuer, issuer.token(EVERYTHING))


def test_a_client_that_asks_too_much_is_told_when_to_come_back(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "3 per hour")
    assert [api.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = api.get(PATH)
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert issues_of(refused)[0]["code"] == "throttled"
    assert "3 per 1 hour" in issues_of(refused)[0]["details"]["text"]


def test_clients_are_told_apart_by_their_tokens(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "1 per hour")
    other = api.as_(EVERYTHING, sub="another")
    assert [api.get(PATH).status_code, other.get(PATH).status_code] == [200, 200]
    assert [api.get(PATH).status_code, other.get(PATH).status_code] == [429, 429]


def test_invented_tokens_count_together(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "3 per hour")
    answers = [api.get(PATH, Authorization=f"Bearer invented{number}").status_code for number in range(5)]
    assert answers == [401, 401, 401, 429, 429]


def test_tokens_that_nobody_looks_at_count_together(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "3 per hour")
    answers = [api.get("/fhir/metadata", Authorization=f"Bearer invented{number}").status_code for number in range(5)]
    assert answers == [200, 200, 200, 429, 429]


def test_who_asks_too_much_takes_nothing_from_others(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "2 per hour")
    assert [api.get(PATH).status_code for _ in range(6)] == [200, 200, 429, 429, 429, 429]
    assert api.as_(EVERYTHING, sub="another").get(PATH).status_code == 200


def test_several_rates_hold_together(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "100 per hour; 2 per hour")
    assert [api.get(PATH).status_code for _ in range(3)] == [200, 200, 429]


def test_probes_are_not_counted(make_services: MakeServices, issuer: Issuer) -> None:
    api = _api(make_services, issuer, "1 per hour")
    assert [api.client.get("/health/live").status_code for _ in range(3)] == [200] * 3


def test_people_are_told_in_words(make_services: MakeServices, issuer: Issuer) -> None:
    client = _api(make_services, issuer, "1 per hour").client
    client.get("/")
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 429
    assert "Come back in" in page.text


def test_by_default_there_is_one_where_tokens_are_asked_for(services: Services) -> None:
    assert services.site().rate_limit == "600 per minute"
