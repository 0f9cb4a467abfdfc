"""People can read what they are asked and told, in each language of a page, and the page's README says how easily."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.fhir.translation import patient_texts, translations
from service.packs import load_pack, shipped_pages
from tests.packs.reading_level import (
    ASKED,
    TOLD,
    english_syllables,
    flesch_kincaid_grade,
    inflesz,
    measured,
    sentence,
    spanish_syllables,
)

FOLDERS = sorted(path for path in shipped_pages().iterdir() if path.is_dir())
GRADE_AT_MOST = 8.0
INFLESZ_AT_LEAST = 55.0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_can_be_read_with_a_basic_education(folder: Path) -> None:
    pack = load_pack(folder)
    for names in (ASKED, TOLD):
        assert flesch_kincaid_grade(measured(pack, "en", names)) < GRADE_AT_MOST
        assert inflesz(measured(pack, "es", names)) > INFLESZ_AT_LEAST


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_readme_of_the_page_tells_what_was_measured(folder: Path) -> None:
    assert sentence(folder) in " ".join((folder / "README.md").read_text(encoding="utf-8").split())


def test_the_same_words_are_translated_alike_in_all_pages() -> None:
    found: dict[str, set[str]] = {}
    for artifact in (one for folder in FOLDERS for one in load_pack(folder).artifacts):
        for _, element, name in patient_texts(artifact):
            found.setdefault(element[name], set()).add(translations(element, name)["es"])
    assert {text: said for text, said in found.items() if len(said) > 1} == {}
    assert found["Not sure"] == {"No lo sé"}


@pytest.mark.parametrize(
    ("word", "count"),
    [("músculo", 3), ("día", 2), ("aire", 2), ("urgencias", 3), ("diarrea", 3), ("guía", 2), ("quién", 1), ("agua", 2),
     ("cae", 2), ("muy", 1), ("y", 1), ("leer", 2), ("pingüino", 3), ("respiración", 4), ("cuídese", 3)],
)  # fmt: skip
def test_spanish_syllables(word: str, count: int) -> None:
    assert spanish_syllables(word) == count


@pytest.mark.parametrize(
    ("word", "count"),
    [("muscle", 2), ("twitching", 2), ("make", 1), ("called", 1), ("wanted", 2), ("emergency", 4), ("the", 1)],
)
def test_english_syllables(word: str, count: int) -> None:
    assert english_syllables(word) == count
