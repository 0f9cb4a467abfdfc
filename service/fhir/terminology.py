"""Value sets and code systems that are at hand: contained in a Questionnaire, or shipped with a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from service.fhir.elements import split_canonical
from service.fhir.json import Json
from service.fhir.r4_terminology import is_unit_of, listed_codings, system_codings


@dataclass(frozen=True, slots=True)
class Terminology:
    """Value sets and code systems by canonical; lookups with a version find that version only."""

    value_sets: dict[str, Json]
    code_systems: dict[str, Json]
    _members: dict[str, frozenset[tuple[Any, Any]] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Json]) -> Terminology:
        """The ValueSets and CodeSystems among `resources`; others are passed over."""
        value_sets: dict[str, Json] = {}
        code_systems: dict[str, Json] = {}
        for resource in resources:
            match resource.get("resourceType"):
                case "ValueSet":
                    _index(value_sets, resource)
                case "CodeSystem":
                    _index(code_systems, resource)
        return cls(value_sets, code_systems)

    def with_contained(self, resources: Iterable[Json]) -> Terminology:
        """With the resources contained in another, which go by "#" and their id as well as by their url."""
        contained = Terminology.of(resources)
        by_id = {f"#{one.get('id')}": one for one in resources if one.get("resourceType") == "ValueSet"}
        return Terminology(
            {**self.value_sets, **contained.value_sets, **by_id}, {**self.code_systems, **contained.code_systems}
        )

    def expand(self, value_set: Json | str | None) -> tuple[Json, ...] | None:
        """The Codings of a value set (a resource, or its canonical).

        None when it cannot be told here: it is unknown, has filters, includes itself, or takes in a whole code system
        that is not at hand. An `expansion` inside the resource is believed. What FHIR R4 itself lists is at hand.
        """
        return self._expand(value_set, ())

    def contains(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a code is in the value set of this canonical; None when it is not at hand.

        Without a system the code may be of any system, as for an element of type code.
        """
        is_unit = is_unit_of(value_set, {"system": system, "code": code})
        if is_unit is not None:
            return is_unit
        if value_set not in self._members:
            codings = self.expand(value_set)
            self._members[value_set] = None if codings is None else frozenset(map(_key, codings))
        members = self._members[value_set]
        if members is None:
            return None
        return (system, code) in members if system is not None else any(known == code for _, known in members)

    def _expand(self, value_set: Json | str | None, around: tuple[str, ...]) -> tuple[Json, ...] | None:
        if isinstance(value_set, str):
            if value_set in around:
                return None
            resource = self.value_sets.get(value_set)
            if resource is None:
                return listed_codings(split_canonical(value_set)[0])
            return self._expand(resource, (*around, value_set))
        if value_set is None:
            return None
        if "expansion" in value_set:
            return tuple(_expansion_codings(value_set["expansion"].get("contains", [])))
        compose = value_set.get("compose", {})
        included: dict[tuple[Any, Any], Json] = {}
        for part in compose.get("include", []):
            codings = self._part(part, around)
            if codings is None:
                return None
            included.update({_key(coding): coding for coding in codings})
        for part in compose.get("exclude", []):
            codings = self._part(part, around)
            if codings is None:
                return None
            for coding in codings:
                included.pop(_key(coding), None)
        return tuple(included.values())

    def _part(self, part: Json, around: tuple[str, ...]) -> tuple[Json, ...] | None:
        if "filter" in part:
            return None
        codings: tuple[Json, ...] | None = None
        if "system" in part:
            codings = self._system_codings(part)
            if codings is None:
                return None
        for reference in part.get("valueSet", []):
            others = self._expand(reference, around)
            if others is None:
                return None
            keys = {_key(coding) for coding in others}
            codings = others if codings is None else tuple(coding for coding in codings if _key(coding) in keys)
        return codings or ()

    def _system_codings(self, part: Json) -> tuple[Json, ...] | None:
        system = part["system"]
        if "concept" in part:
            return tuple(_coding(system, concept) for concept in part["concept"])
        resource = self.code_systems.get(system)
        if resource is None or resource.get("content") != "complete":
            return system_codings(system)
        return tuple(_coding(system, concept) for concept in concepts(resource))


def concepts(code_system: Json) -> Iterator[Json]:
    """Every concept of a CodeSystem, parents before children."""
    waiting = list(reversed(code_system.get("concept", [])))
    while waiting:
        concept = waiting.pop()
        yield concept
        waiting.extend(reversed(concept.get("concept", [])))


def concept_property(concept: Json, code: str) -> Any:
    """The value of a concept's property; None when it has none."""
    for entry in concept.get("property", []):
        if entry.get("code") == code:
            return next((value for key, value in entry.items() if key.startswith("value")), None)
    return None


def _index(found: dict[str, Json], resource: Json) -> None:
    url = resource.get("url")
    if url is None:
        return
    found[url] = resource
    if resource.get("version"):
        found[f"{split_canonical(url)[0]}|{resource['version']}"] = resource


def _expansion_codings(contains: list[Json]) -> Iterator[Json]:
    for entry in contains:
        if "code" in entry and not entry.get("abstract"):
            yield _coding(entry.get("system"), entry)
        yield from _expansion_codings(entry.get("contains", []))


def _coding(system: str | None, concept: Json) -> Json:
    coding: Json = {} if system is None else {"system": system}
    coding["code"] = concept["code"]
    if "display" in concept:
        coding["display"] = concept["display"]
    return coding


def _key(coding: Json) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")
