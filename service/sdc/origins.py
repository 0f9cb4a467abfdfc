"""Which resources an answer came from, so that a person can look them up and confirm it.

An expression does not tell what it used. A resource is named as the origin of an answer when it alone, without the
others that were found, gives that answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.fhir.json import Json
from service.fhirpath import Item as Value
from service.fhirpath import Node, json_value
from service.sdc import vocabulary as sdc
from service.sdc.comparison import AnswerKey

_MOST_TRIED = 200
"""Resources that are tried one by one; of more, each is named."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """Narrows what was found to `only` one resource, or to none; what a search includes beside its matches stays."""

    only: Json | None

    def applied(self, values: Sequence[Value]) -> list[Value]:
        """`values` with every Bundle among them narrowed."""
        return [self._narrowed(value) for value in values]

    def _narrowed(self, value: Value) -> Value:
        content = json_value(value)
        if not _is_bundle(content):
            return value
        return Node.of_resource(self._bundle(content))

    def _bundle(self, bundle: Json) -> Json:
        kept = []
        for entry in bundle.get("entry", []):
            resource = entry.get("resource")
            if _is_bundle(resource):
                kept.append({**entry, "resource": self._bundle(resource)})
            elif resource is self.only or _is_included(entry):
                kept.append(entry)
        rest = {name: part for name, part in bundle.items() if name != "entry"}
        return {**rest, "entry": kept} if kept else rest


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression reads: resources that stand alone, and the resources that searches found."""

    alone: tuple[Json, ...]
    found: tuple[Json, ...]

    @classmethod
    def of(cls, values: Iterable[Value], alone: Iterable[Json] = ()) -> Reading:
        """The reading of an expression whose variables hold `values`, and which reads the resources `alone` too."""
        contents = [json_value(value) for value in values]
        bundles = [content for content in contents if _is_bundle(content)]
        single = [one for one in contents if isinstance(one, dict) and "resourceType" in one and not _is_bundle(one)]
        return cls((*alone, *single), tuple(one for bundle in bundles for one in _matches(bundle)))

    @property
    def all(self) -> tuple[Json, ...]:
        """Every resource."""
        return (*self.alone, *self.found)

    def origins(self, answers: set[AnswerKey], given_with: Callable[[Restriction], set[AnswerKey]]) -> list[Json]:
        """The resources that `answers` came from; `given_with` tells which answers a narrowed evaluation gives."""
        if not self.found:
            return _distinct(self.alone)
        if len(self.found) > _MOST_TRIED:
            return _distinct((*self.alone, *self.found))
        without = given_with(Restriction(None))
        by_resource = [(one, (given_with(Restriction(one)) - without) & answers) for one in self.found]
        explained = without.union(*(given for _, given in by_resource))
        named = [one for one, given in by_resource if given] if answers <= explained else list(self.found)
        return _distinct((*(self.alone if answers & without else ()), *named))


def origin_extension(resource: Json) -> Json:
    """The extension on a response item that names `resource` as the origin of its answers."""
    kind = resource["resourceType"]
    reference: Json = {"reference": f"{kind}/{resource['id']}"} if "id" in resource else {}
    reference["type"] = kind
    for element in ("code", "medicationCodeableConcept"):
        concept = resource.get(element, {})
        texts = [concept.get("text"), *(coding.get("display") for coding in concept.get("coding", []))]
        name = next((text for text in texts if text), None)
        if name is not None:
            reference["display"] = name
    return {"url": sdc.ANSWER_SOURCE, "valueReference": reference}


def _matches(bundle: Json) -> Iterator[Json]:
    for entry in bundle.get("entry", []):
        resource = entry.get("resource")
        if _is_bundle(resource):
            yield from _matches(resource)
        elif resource is not None and not _is_included(entry):
            yield resource


def _is_bundle(content: object) -> bool:
    return isinstance(content, dict) and content.get("resourceType") == "Bundle"


def _is_included(entry: Json) -> bool:
    return entry.get("search", {}).get("mode") in ("include", "outcome")


def _distinct(resources: Iterable[Json]) -> list[Json]:
    return list({id(one): one for one in resources}.values())
