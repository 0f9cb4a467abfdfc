"""Search requests and searchset Bundles (http://hl7.org/fhir/R4/search.html), whatever is searched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from flask import Request

from service.errors import IssueType, Malformed, error
from service.fhir.json import Json
from service.web.content import FORM, preferences

_PAGING = ("_count", "_offset")
# How an answer is written, not what it holds.
PRESENTATION = ("_format", "_pretty")
_TOTALS = ("none", "estimate", "accurate")


class Mode(StrEnum):
    """Why an entry is in a searchset."""

    MATCH = "match"
    INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class Found:
    """One resource of a result, and why it is there."""

    resource: Json
    mode: Mode = Mode.MATCH


@dataclass(frozen=True, slots=True)
class Result:
    """One page of a result: `total` counts the matches of all pages; `ignored` names parameters that were not used."""

    total: int
    found: tuple[Found, ...]
    count: int
    offset: int
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The parameters of a search as (name, value) pairs in the order sent.

    `count_only` asks for the total alone; `strict` for a refusal of parameters that are not known here.
    """

    pairs: tuple[tuple[str, str], ...]
    count_only: bool
    strict: bool


def read_search(request: Request, known: Collection[str]) -> SearchRequest:
    """The search of a GET, or of a form POSTed to `_search` together with its address.

    Raises Malformed for a modifier that is not served on a `known` parameter: to ignore it would find too much.
    """
    pairs, count_only = [], False
    for sent_name, value in (*request.args.items(multi=True), *_form(request)):
        name, _, modifier = sent_name.partition(":")
        if name in PRESENTATION or (name == "_total" and value in _TOTALS):
            continue
        if name == "_summary" and value in ("count", "false"):
            count_only = value == "count"
        elif value.strip():
            pairs.append(
                _plain(name, modifier, value) if name in known and sent_name not in known else (sent_name, value)
            )
    return SearchRequest(tuple(pairs), count_only, preferences(request).strict)


def searchset(search: SearchRequest, result: Result, address: str, base: str) -> Json:
    """The Bundle of `result`.

    `address` is where the search was sent, `base` the FHIR base of each fullUrl. The self link names every parameter
    that was used, and no other. Raises Malformed when the search is strict and something was not used.
    """
    if search.strict and result.ignored:
        names = ", ".join(sorted({name for name in result.ignored if name.isascii() and name.isprintable()}))
        text = f"Search parameters, or values of them, that are not known here: {names[:200]}."
        raise Malformed([error(IssueType.NOT_SUPPORTED, text)])
    used = [(name, value) for name, value in search.pairs if name not in (*result.ignored, *_PAGING)]
    count_only = search.count_only or result.count == 0

    def link(relation: str, offset: int) -> Json:
        paging = [("_summary", "count")] if count_only else [("_count", str(result.count))]
        paging += [("_offset", str(offset))] if offset else []
        return {"relation": relation, "url": f"{address}?{urlencode([*used, *paging])}"}

    links = [link("self", result.offset)]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": result.total, "link": links}
    if count_only:
        return bundle
    if result.offset > 0:
        links.append(link("previous", max(0, result.offset - result.count)))
    if result.offset + result.count < result.total:
        links.append(link("next", result.offset + result.count))
    entries = [_entry(found, base) for found in result.found]
    # FHIR JSON has no empty arrays.
    return {**bundle, "entry": entries} if entries else bundle


def matches(resources: Iterable[Json]) -> Sequence[Found]:
    """`resources` as what was searched for."""
    return [Found(resource) for resource in resources]


def history_bundle(versions: Sequence[Json], base: str) -> Json:
    """The Bundle of all versions of one resource, newest first (http://hl7.org/fhir/R4/http.html#history)."""
    entries = []
    for one in versions:
        path = f"{one['resourceType']}/{one['id']}"
        version = str(one.get("meta", {}).get("versionId", "1"))
        is_first = one is versions[-1]
        request = {"method": "POST" if is_first else "PUT", "url": one["resourceType"] if is_first else path}
        response: Json = {"status": "201" if is_first else "200", "etag": f'W/"{version}"'}
        changed = one.get("meta", {}).get("lastUpdated")
        if changed is not None:
            response["lastModified"] = changed
        entries.append({"fullUrl": f"{base}/{path}", "resource": one, "request": request, "response": response})
    return {"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries}


def _entry(found: Found, base: str) -> Json:
    resource = found.resource
    full_url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": full_url, "resource": resource, "search": {"mode": found.mode.value}}


def _plain(name: str, modifier: str, value: str) -> tuple[str, str]:
    """The pair without its modifier, where that changes nothing: `subject:Patient=1` is `subject=Patient/1`."""
    if modifier == "Patient" and name in ("subject", "patient"):
        return name, value if "/" in value else f"Patient/{value}"
    text = f"The modifier ':{modifier}' of '{name}' is not served here." if modifier.isalpha() else "Unknown modifier."
    raise Malformed([error(IssueType.NOT_SUPPORTED, text, f"http.{name}")])


def _form(request: Request) -> list[tuple[str, str]]:
    return list(request.form.items(multi=True)) if request.mimetype == FORM else []
