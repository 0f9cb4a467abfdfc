"""The OpenAPI description says what the routes do."""

from __future__ import annotations

import re
from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient

from service.bootstrap import Services
from service.web.app import create_app


def _routes(app: Flask) -> set[tuple[str, str]]:
    """(method, path) of every route of the API, with all parameters alike."""
    found = set()
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/fhir/"):
            continue
        types = re.search(r"<any\(([^)]+)\):[^>]+>", rule.rule)
        for kind in types[1].split(",") if types else [""]:
            path = rule.rule.replace(types[0], kind) if types else rule.rule
            path = re.sub(r"<[^>]+>", "{}", path.removeprefix("/fhir"))
            found |= {(method.lower(), path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def test_it_has_every_route_and_no_other(services: Services, client: FlaskClient) -> None:
    paths = client.get("/fhir/openapi.json").json["paths"]
    told = {(method, re.sub(r"{[^}]+}", "{}", path)) for path, methods in paths.items() for method in methods}
    routes = _routes(create_app(services.site())) - {("get", "/openapi.json")}
    assert told == routes
    assert len(told) > 60


def test_parameters_of_paths_are_told(client: FlaskClient) -> None:
    for path, methods in client.get("/fhir/openapi.json").json["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == set(re.findall(r"{([^}]+)}", path)), path


def test_searches_are_those_of_the_capability_statement(client: FlaskClient) -> None:
    paths = client.get("/fhir/openapi.json").json["paths"]
    for resource in client.get("/fhir/metadata").json["rest"][0]["resource"]:
        names = {one["name"] for one in resource.get("searchParam", [])}
        if names:
            told = {one["name"] for one in paths[f"/{resource['type']}"]["get"]["parameters"]}
            assert names <= told


def test_it_says_whether_tokens_are_asked_for(services: Services, client: FlaskClient) -> None:
    assert "security" not in client.get("/fhir/openapi.json").json
    asking = create_app(replace(services.site(), token_check=lambda token: {})).test_client()
    assert {"bearer": []} in asking.get("/fhir/openapi.json").json["security"]
