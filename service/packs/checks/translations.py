"""A page speaks each of its languages wholly, and says the same numbers in each: a person meets no foreign sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from service.errors import Issue, IssueType, error
from service.fhir.elements import extension_value, extensions, objects
from service.fhir.json import Json
from service.fhir.translation import TRANSLATION, languages, patient_texts, translations, untranslated
from service.packs.pack import Pack

_TAG: Final = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
"""A language as BCP 47 (RFC 5646) writes it, with a script and a region where they matter."""
_NUMBER: Final = re.compile(r"[0-9]+")


def translation_issues(pack: Pack) -> Iterator[Issue]:
    """Texts that lack a language of the page, translations that cannot be used, and numbers that they change."""
    spoken = sorted({language for artifact in pack.artifacts for language in languages(artifact)})
    for artifact in pack.artifacts:
        here = f"{artifact['resourceType']}/{artifact['id']}"
        for path, said in _told(artifact, here):
            yield from _unusable(path, said)
        for language in spoken:
            for path in untranslated(artifact, language):
                text = f"This has no translation to '{language}', which others of this page have. Add it."
                yield error(IssueType.REQUIRED, text, _below(here, path))
        for path, element, name in patient_texts(artifact):
            for language, translation in translations(element, name).items():
                if _numbers(translation) != _numbers(element[name]):
                    text = f"In '{language}' this has other numbers than in its own language. Say the same ones."
                    yield error(IssueType.VALUE, text, _below(here, path))


def _told(artifact: Json, here: str) -> Iterator[tuple[str, list[tuple[object, object]]]]:
    """The translations of each text: the path of what carries them, and each with its language."""
    for path, element in objects(artifact, here):
        told = list(extensions(element, TRANSLATION))
        if told:
            yield path, [(extension_value(one, "lang"), extension_value(one, "content")) for one in told]
        designations = [one for one in element.get("designation", []) if "language" in one]
        if designations:
            yield path, [(one["language"], one.get("value")) for one in designations if "use" not in one]


def _unusable(path: str, said: list[tuple[object, object]]) -> Iterator[Issue]:
    for language, content in said:
        if not isinstance(language, str) or _TAG.fullmatch(language) is None:
            text = f"'{language}' is no language: give its BCP 47 tag, such as 'es' or 'pt-BR'."
            yield error(IssueType.CODE_INVALID, text, path)
        if not isinstance(content, str):
            yield error(IssueType.REQUIRED, f"The translation to '{language}' says nothing.", path)
    for language, count in Counter(language for language, _ in said).items():
        if count > 1:
            text = f"There are {count} translations to '{language}'. Keep one."
            yield error(IssueType.DUPLICATE, text, path)


def _numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall(text))


def _below(here: str, path: str) -> str:
    """`path` below the resource that is named `here`."""
    return f"{here}.{path.partition('.')[2]}"
