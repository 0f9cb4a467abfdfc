"""The pages that are published, and what judges by them without a database."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from service.bootstrap.servers import fhir_server
from service.bootstrap.world import random_id, utc_now
from service.config import PREFIX, ConfigurationInvalid, Settings
from service.packs import Pack, load_pack, load_packs, shipped_pages
from service.records.evaluation import Evaluation
from service.records.library import Library
from service.records.population import OpenServer, Population
from service.records.ports import Clock, Pages


def published_packs(settings: Settings) -> tuple[Pack, ...]:
    """The pages of the folders that are set, or those that are shipped.

    Raises PackInvalid, and ConfigurationInvalid when two pages have the same name, or the same canonical.
    """
    packs = [pack for folder in page_folders(settings) for pack in load_packs(folder)]
    names = [pack.name for pack in packs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationInvalid(f"{PREFIX}PACKS: two folders hold a page named {twice[0]}; name each page once")
    by_canonical: dict[str, str] = {}
    for pack in packs:
        other = by_canonical.setdefault(pack.canonical, pack.name)
        if other != pack.name:
            text = f"{PREFIX}PACKS: {other} and {pack.name} are both {pack.canonical}; give each page its own url"
            raise ConfigurationInvalid(text)
    return tuple(packs)


def page_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders of pages that are set, or the one that is shipped."""
    return settings.packs or (shipped_pages(),)


def evaluation(settings: Settings) -> Evaluation:
    """Judges responses by the published pages, without a database. Raises as `published_packs`."""
    return Evaluation(Library(published_packs(settings), ()), utc_now, random_id)


def page_evaluation(folder: Path) -> Evaluation:
    """Judges responses by the one page in `folder`, whatever canonical they name. Raises PackInvalid."""
    return Evaluation(_OnePage(load_pack(folder)), utc_now, random_id)


def population(settings: Settings) -> Population:
    """Populates responses to the published pages, without a database. Raises as `published_packs`."""
    return population_by(settings, Library(published_packs(settings), ()), utc_now)


def population_by(settings: Settings, pages: Pages, clock: Clock) -> Population:
    """Populates responses to `pages`, from the FHIR server that is set, too."""
    url = settings.fhir_server_url
    open_server: OpenServer | None = None if url is None else lambda: closing(fhir_server(settings, url))
    return Population(pages, clock, open_server, monotonic)


@dataclass(frozen=True, slots=True)
class _OnePage:
    pack: Pack

    def resolve(self, canonical: str) -> Pack | None:
        return self.pack
