"""FHIR searches written in a Questionnaire (application/x-fhir-query), with FHIRPath between double braces.

SDC STU4, http://hl7.org/fhir/uv/sdc/expressions.html#x-fhir-query-enhancements. What an expression gives is data: it is
escaped as a search value and percent-encoded, so that it never becomes part of the query's structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

from service.fhir.elements import search_escaped
from service.fhir.json import Json
from service.fhirpath import Environment, Expression, Item, json_value
from service.fhirpath.model import definition, is_type

_BRACES: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_QUERY: Final = re.compile(r"([A-Z][A-Za-z]+)(?:/[A-Za-z0-9\-.]{1,64}|\?[^#\s]*)?")
# What an author writes stands for itself; only what no URL may hold is encoded.
_WRITTEN: Final = "/?&=:,%+$;@!*'()~"


class DataUnavailable(Exception):
    """A query that was not answered; the message says why, without a value of the patient's."""


class ClinicalData(Protocol):
    """Where queries are answered: a FHIR server, or the resources that came with a call."""

    def search(self, query: str) -> Sequence[Json]:
        """The resources that `query` ("Observation?code=...", "Patient/1") finds, with those it includes.

        Raises DataUnavailable when it cannot tell.
        """
        ...


class QueryRefused(Exception):
    """A query that must not be sent: the message says why."""


@dataclass(frozen=True, slots=True)
class QueryTemplate:
    """A query called `name` (a variable), written at `path`; `parts` are its texts and the expressions between them."""

    name: str
    path: str
    parts: tuple[str | Expression, ...]

    def written(self, focus: Sequence[Item], environment: Environment) -> str:
        """The query with its expressions' values.

        Raises QueryRefused when an expression gives nothing (the search would find too much) or the query is none,
        FhirPathError when an expression cannot be evaluated.
        """
        query = ""
        for part in self.parts:
            if isinstance(part, str):
                query += quote(part, safe=_WRITTEN)
                continue
            values = [_text(item) for item in part.evaluate(focus, environment)]
            if not values or not all(values):
                raise QueryRefused(f"{{{{{part.text}}}}} gives no value to search by")
            query += ",".join(quote(search_escaped(value) if "?" in query else value, safe="") for value in values)
        if not is_query(query):
            raise QueryRefused("it is no search for one type of resource, below the server's own address")
        return query


def compile_query(name: str, path: str, text: str, compiled: Callable[[str], Expression]) -> QueryTemplate:
    """The query `text`; `compiled` compiles an expression, and what it raises is passed on."""
    pieces = _BRACES.split(text)
    parts = [compiled(piece.strip()) if index % 2 else piece.strip() for index, piece in enumerate(pieces)]
    return QueryTemplate(name, path, tuple(part for part in parts if part != ""))


def is_query(text: str) -> bool:
    """True for a search of one resource type, or the read of one resource; no operation, history or other address."""
    match = _QUERY.fullmatch(text)
    return match is not None and is_type(match.group(1)) and definition(match.group(1)).is_resource


def resource_type_of(query: str) -> str:
    """The resource type that a query asks for."""
    return query.partition("?")[0].partition("/")[0]


def searchset(query: str, resources: Sequence[Json]) -> Json:
    """What a query gives to its variable: the one resource of a read, else a Bundle of the type searchset."""
    if "/" in query.partition("?")[0] and len(resources) == 1:
        return resources[0]
    wanted = resource_type_of(query)
    matches = [one for one in resources if one["resourceType"] == wanted]
    entries = [
        {"resource": one, "search": {"mode": "match" if one["resourceType"] == wanted else "include"}}
        for one in resources
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(matches)}
    return {**bundle, "entry": entries} if entries else bundle


def _text(item: Item) -> str:
    value = json_value(item)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise QueryRefused("an expression in it gives no simple value")
    return "" if value is None else str(value)
