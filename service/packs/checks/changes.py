"""A version of a page means one thing for ever: a change of meaning takes a new version; one more language is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from service.errors import Issue, IssueType, error
from service.fhir.elements import canonical
from service.fhir.json import Json
from service.fhir.translation import languages, translated, without_translations
from service.packs.pack import Pack

_ABOUT: Final = frozenset({"text", "date", "publisher", "contact", "description", "purpose", "copyright", "meta"})
"""Elements that tell about a resource, and do not change what it does."""
_MOST_SHOWN: Final = 5


def change_issues(pack: Pack, published: Pack) -> Iterator[Issue]:
    """The resources that differ from the `published` ones of the same version."""
    before = {(one["resourceType"], canonical(one)): one for one in published.artifacts}
    for artifact in pack.artifacts:
        kind = artifact["resourceType"]
        earlier = before.pop((kind, canonical(artifact)), None)
        if earlier is None:
            continue
        paths = list(_changes(earlier, artifact, f"{kind}/{artifact['id']}"))
        if paths:
            shown = ", ".join(paths[:_MOST_SHOWN]) + (" and more" if len(paths) > _MOST_SHOWN else "")
            text = f"Version {artifact.get('version')} is published, but means something else here: {shown}."
            text += " Raise the version, or undo the change."
            yield error(IssueType.CONFLICT, text, f"{kind}/{artifact['id']}.version")
    if pack.canonical == published.canonical:
        for kind, url in before:
            text = f"The published version has {kind} {url}, which is gone here. Raise the version, or bring it back."
            yield error(IssueType.CONFLICT, text, "Questionnaire.version")


def _changes(earlier: Json, artifact: Json, path: str) -> Iterator[str]:
    """What differs in the resource's own words, then what differs in each language that it was published in alone."""
    own = list(_differences(_meaning(earlier), _meaning(artifact), path))
    yield from own
    for language in sorted(languages(earlier)):
        before, after = (_meaning(translated(one, language)) for one in (earlier, artifact))
        for changed in _differences(before, after, path):
            if changed not in own:
                yield f"{changed} ({language})"


def _meaning(resource: Json) -> Json:
    about = {*_ABOUT, *(f"_{name}" for name in _ABOUT)}
    return {name: value for name, value in without_translations(resource).items() if name not in about}


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    """The paths of what differs, the innermost elements."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif before != after:
        yield path
