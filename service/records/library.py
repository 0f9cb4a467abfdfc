"""The pages in use: those published now, and every earlier version that accepted a response."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.fhir.elements import split_canonical
from service.packs import Pack, PackInvalid, assemble_pack
from service.records.ports import RememberedPack

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Library:
    """Implements service.records.ports.Pages. `published` is what is offered now, `earlier` what was before."""

    published: tuple[Pack, ...]
    earlier: tuple[Pack, ...]

    @classmethod
    def of(cls, published: Iterable[Pack], remembered: Iterable[RememberedPack]) -> Library:
        """The library of the published pages and of those that accepted responses.

        An earlier version that this release cannot compile is left out, and named in the log.
        """
        now = tuple(published)
        offered = {pack.canonical for pack in now}
        earlier = []
        for memory in remembered:
            if f"{memory.url}|{memory.version}" in offered:
                continue
            try:
                earlier.append(assemble_pack(memory.name, memory.artifacts))
            except PackInvalid as refusal:
                log.warning("earlier version %s|%s cannot be used any more: %s", memory.url, memory.version, refusal)
        return cls(now, tuple(earlier))

    def resolve(self, canonical: str) -> Pack | None:
        """The page of a Questionnaire's canonical: `url|version` exactly that one, `url` alone the newest active.

        Pages published now come before earlier versions, also where those have a higher number: they were withdrawn.
        """
        url, version = split_canonical(canonical)
        if version is not None:
            return next((pack for pack in (*self.published, *self.earlier) if _is(pack, url, version)), None)
        for shelf in (self.published, self.earlier):
            packs = [pack for pack in shelf if pack.url == url]
            if packs:
                return max(packs, key=lambda pack: (pack.status == "active", version_order(pack.version)))
        return None


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key that orders versions: numbers by value and before words ("1.9" before "1.10")."""
    parts = re.findall(r"\d+|[^\d.+-]+", version)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def _is(pack: Pack, url: str, version: str) -> bool:
    return pack.url == url and pack.version == version
