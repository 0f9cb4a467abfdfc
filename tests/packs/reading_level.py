"""How hard the words of a page are to read, in English and in Spanish.

    python -m tests.packs.reading_level

English: the grade of Flesch and Kincaid (Kincaid et al. 1975, Derivation of new readability formulas for Navy enlisted
personnel): years of school. Spanish: the perspicuity of Szigriszt-Pazos (1993) on the scale INFLESZ (Barrio-Cantalejo
et al. 2008, Anales del Sistema Sanitario de Navarra 31(2)): above 55 is normal, above 65 quite easy. Syllables are
counted by rules, which is exact enough for Spanish, and for English off by some words in a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.fhir.json import Json
from service.fhir.translation import patient_texts, translated
from service.packs import Pack, load_pack, shipped_pages

_SENTENCE_ENDS = re.compile(r"[.:;?!]+(?:\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
ASKED = frozenset({"text", "valueMarkdown"})
"""Questions and help, and the words of options: short, and so the easier of the two."""
TOLD = frozenset({"textEquivalent", "definition"})
"""The sentences of rules and advice, and what a level means."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How long texts are."""

    sentences: int
    words: int
    syllables: int


def flesch_kincaid_grade(extent: Extent) -> float:
    """Years of school that English of this extent takes."""
    return 0.39 * extent.words / extent.sentences + 11.8 * extent.syllables / extent.words - 15.59


def inflesz(extent: Extent) -> float:
    """How easy Spanish of this extent is, up to about 100."""
    return 206.835 - 62.3 * extent.syllables / extent.words - extent.words / extent.sentences


def measured(pack: Pack, language: str, names: frozenset[str]) -> Extent:
    """The extent of what a person is `ASKED` or `TOLD` by a page in `language` ("en" or "es")."""
    texts = [text for artifact in pack.artifacts for text in _texts(translated(artifact, language), names)]
    words = [word for text in texts for word in _WORD.findall(text)]
    syllables = english_syllables if language == "en" else spanish_syllables
    sentences = sum(max(1, len(_SENTENCE_ENDS.findall(text))) for text in texts)
    return Extent(sentences, len(words), sum(syllables(word) for word in words))


def english_syllables(word: str) -> int:
    """Groups of vowels, but for an e that is not spoken."""
    bare = word.lower()
    count = len(re.findall(r"[aeiouy]+", bare))
    if re.search(r"[^aeiouyl]e$|[^aeiouydt]ed$|[^aeiouysxzcgh]es$", bare):
        count -= 1
    return max(count, 1)


def spanish_syllables(word: str) -> int:
    """Vowels, less those that are spoken as one with their neighbour: weak ones that carry no accent."""
    bare = re.sub(r"qu(?=[eiéí])|gu(?=[eiéí])", "q", word.lower())
    return max(len(re.findall(r"[iuüy]?[aeoáéó][iuüy]?(?![áéíóú])|[iuü]?[íú]|[iuü]+y?|[aeoáéó]|y$", bare)), 1)


def _texts(artifact: Json, names: frozenset[str]) -> Iterator[str]:
    return (element[name] for _, element, name in patient_texts(artifact) if name in names)


def main() -> None:
    """Print both figures of each shipped page."""
    for folder in sorted(path for path in shipped_pages().iterdir() if path.is_dir()):
        print(f"{folder.name}: {sentence(folder)}")


def sentence(folder: Path) -> str:
    """What a page's README says of it."""
    pack = load_pack(folder)
    grades = [flesch_kincaid_grade(measured(pack, "en", names)) for names in (ASKED, TOLD)]
    ease = [inflesz(measured(pack, "es", names)) for names in (ASKED, TOLD)]
    return (
        f"English: grade {grades[0]:.1f} (questions) and {grades[1]:.1f} (advice) by Flesch and Kincaid. "
        f"Spanish: {ease[0]:.0f} and {ease[1]:.0f} by INFLESZ."
    )


if __name__ == "__main__":
    main()
