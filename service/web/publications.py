"""The published artifacts of pages, from Questionnaire to ConceptMap: read and search."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.errors import IssueType, Malformed, error
from service.fhir.json import Json, dumps
from service.fhir.primitives import instant
from service.fhir.translation import languages, lookup, translated
from service.packs.pack import DEFAULT_LANGUAGE
from service.records.search import DEFAULT_COUNT, MAX_COUNT, split_or, split_token
from service.web.searching import Result, SearchRequest, matches

PUBLISHED_TYPES = ("Questionnaire", "PlanDefinition", "ValueSet", "CodeSystem", "ConceptMap")
PUBLISHED_PARAMETERS: Mapping[str, str] = {
    "_id": "token",
    "url": "uri",
    "version": "token",
    "name": "string",
    "title": "string",
    "status": "token",
}
LANGUAGE = "_language"
"""The parameter that names the language to read artifacts in; it finds no fewer of them."""

KNOWN_NAMES = frozenset(
    [
        *PUBLISHED_PARAMETERS,
        LANGUAGE,
        *(f"{text}:{modifier}" for text in ("name", "title") for modifier in ("exact", "contains")),
    ]
)

_Test = Callable[[Json], bool]
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Publications:
    """Every published resource, by type and id, with `meta` naming its version and date.

    `offered` are the languages that each can be read in, its own first.
    """

    resources: Mapping[_Key, Json]
    offered: Mapping[_Key, tuple[str, ...]]
    _translated: dict[tuple[_Key, str], Json] = field(default_factory=dict)

    @classmethod
    def of(cls, artifacts: Iterable[Json]) -> Publications:
        """The artifacts of pages; one that several pages carry (the same type and id) is kept once."""
        resources: dict[_Key, Json] = {}
        for artifact in artifacts:
            resources.setdefault((artifact["resourceType"], artifact["id"]), _with_meta(artifact))
        return cls(resources, {key: _offered(resource) for key, resource in resources.items()})

    def read(self, resource_type: str, resource_id: str, wanted: Sequence[str] = ()) -> Json | None:
        """The resource of this type and id, in the first of the `wanted` languages that it has; None without any."""
        key = resource_type, resource_id
        return self._in_language(key, wanted) if key in self.resources else None

    def everything(self, wanted: Sequence[str] = ()) -> list[Json]:
        """Every resource, each in the first of the `wanted` languages that it has."""
        return [self._in_language(key, wanted) for key in self.resources]

    def search(self, resource_type: str, search: SearchRequest, wanted: Sequence[str] = ()) -> Result:
        """The resources of this type that meet every parameter, each in the first of the `wanted` languages it has.

        Names and titles are searched as they are in the resource's own language. Raises Malformed for a page that
        cannot be read.
        """
        tests, ignored, sort, count, offset = [], [], None, DEFAULT_COUNT, 0
        for name, value in search.pairs:
            match name:
                case "_count":
                    count = min(_number(name, value), MAX_COUNT)
                case "_offset":
                    offset = _number(name, value)
                case "_sort" if value in ("_lastUpdated", "-_lastUpdated"):
                    sort = value
                case _ if name == LANGUAGE:
                    continue
                case _ if name in KNOWN_NAMES:
                    tests.append(_test(name, value))
                case _:
                    ignored.append(name)
        found = [
            key
            for key, resource in self.resources.items()
            if key[0] == resource_type and all(test(resource) for test in tests)
        ]
        if sort is not None:
            found.sort(key=lambda key: _last_updated(self.resources[key]), reverse=sort.startswith("-"))
        page = matches(self._in_language(key, wanted) for key in found[offset : offset + count])
        return Result(len(found), tuple(page), count, offset, tuple(ignored))

    def _in_language(self, key: _Key, wanted: Sequence[str]) -> Json:
        offered = self.offered[key]
        language = next((found for tag in wanted if (found := lookup(offered, tag)) is not None), offered[0])
        if language == offered[0]:
            return self.resources[key]
        if (key, language) not in self._translated:
            self._translated[key, language] = _with_meta(translated(self.resources[key], language))
        return self._translated[key, language]


def _offered(resource: Json) -> tuple[str, ...]:
    own = resource.get("language", DEFAULT_LANGUAGE)
    return (own, *sorted(languages(resource) - {own}))


def _with_meta(artifact: Json) -> Json:
    # The content itself tells the version: a page that changes under the same version number shows it here.
    fingerprint = hashlib.sha256(dumps(artifact).encode()).hexdigest()[:16]
    meta = {**artifact.get("meta", {}), "versionId": fingerprint}
    changed = _moment(artifact.get("date", ""))
    if changed is not None:
        meta["lastUpdated"] = instant(changed)
    head = {"resourceType": artifact["resourceType"], "id": artifact["id"], "meta": meta}
    return {**head, **{name: value for name, value in artifact.items() if name not in head}}


def _moment(date: str) -> datetime | None:
    """The first moment of a FHIR dateTime; UTC where it has no offset, None when there is none."""
    if not date:
        return None
    whole = date if len(date) >= len("2026-01-01") else f"{date}-01-01"[: len("2026-01-01")]
    moment = datetime.fromisoformat(whole)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _last_updated(resource: Json) -> str:
    return str(resource["meta"].get("lastUpdated", ""))


def _test(sent_name: str, value: str) -> _Test:
    name, _, modifier = sent_name.partition(":")
    element = "id" if name == "_id" else name
    match PUBLISHED_PARAMETERS[name]:
        case "token":
            # These elements are codes and strings without a system: "active" or "|active".
            wanted = [split_token(one)[1] for one in split_or(value)]
            return lambda resource: resource.get(element) in wanted
        case "uri":
            canonicals = [one.partition("|")[::2] for one in split_or(value)]
            return lambda resource: any(
                resource.get("url") == url and version in ("", resource.get("version")) for url, version in canonicals
            )
        case _:
            texts = split_or(value)
            return lambda resource: any(_text_agrees(resource.get(element, ""), text, modifier) for text in texts)


def _text_agrees(value: str, wanted: str, modifier: str) -> bool:
    match modifier:
        case "exact":
            return value == wanted
        case "contains":
            return _folded(wanted) in _folded(value)
        case _:
            return _folded(value).startswith(_folded(wanted))


def _folded(text: str) -> str:
    """`text` without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Malformed(
            [error(IssueType.VALUE, f"The value of '{name}' is no whole number from 0 up.", f"http.{name}")]
        )
    return int(value)
