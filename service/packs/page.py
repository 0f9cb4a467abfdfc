"""A page as its author sees it: the pack, and beside it what is not served but tells whether the pack is right."""

from __future__ import annotations

from dataclasses import dataclass

from service.packs.pack import Pack
from service.packs.statements import Statements
from service.packs.vignettes import Vignette

README_FILE = "README.md"


@dataclass(frozen=True, slots=True)
class Page:
    """`readme` is the text of the page's README.md, "" where it has none."""

    pack: Pack
    vignettes: tuple[Vignette, ...]
    statements: Statements
    readme: str
