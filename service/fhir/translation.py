"""Resources in other languages: by the extension `translation` on a text, and the designations of a concept.

http://hl7.org/fhir/R4/languages.html and http://hl7.org/fhir/R4/extension-translation.html. Languages are BCP 47 tags;
a text in `es` serves whoever asks for `es-MX` (RFC 4647, lookup).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from service.fhir.elements import extension_value, extensions
from service.fhir.json import Json

TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"

_READ: Final[Mapping[str, frozenset[str]]] = {
    "Questionnaire": frozenset({"title", "description", "text", "prefix"}),
    "PlanDefinition": frozenset({"title", "usage", "textEquivalent"}),
    "CodeSystem": frozenset({"title", "display", "definition"}),
    "ValueSet": frozenset({"title", "display"}),
}
"""The elements of a resource whose texts patients read; those of other types are read by clinicians and machines."""

_READ_EXTENSIONS: Final = frozenset(
    {
        "rendering-markdown",
        "entryFormat",
        "human",
        "questionnaire-unit",
        "questionnaire-unitOption",
        "sdc-questionnaire-openLabel",
        "sdc-questionnaire-shortText",
    }
)
"""What the urls of extensions end in whose values patients read."""

_VALUES: Final = frozenset({"valueString", "valueMarkdown", "display"})
_AROUND: Final = frozenset({"item", "action", "compose", "include", "concept", "valueCoding"})


def lookup(offered: Iterable[str], wanted: str) -> str | None:
    """The one of `offered` that serves whoever asks for `wanted`: the same, or the next wider; None without one."""
    by_tag = {tag.lower(): tag for tag in offered}
    parts = wanted.lower().split("-")
    while parts:
        found = by_tag.get("-".join(parts))
        if found is not None:
            return found
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()
    return None


def translations(element: Json, name: str) -> dict[str, str]:
    """The translations of the text `name` of `element`, by language."""
    sibling = element.get(f"_{name}")
    found = extensions(sibling, TRANSLATION) if isinstance(sibling, dict) else ()
    told = [(extension_value(one, "lang"), extension_value(one, "content")) for one in found]
    if name == "display":
        designations = element.get("designation", ())
        told += [(one.get("language"), one.get("value")) for one in designations if _is_display(one)]
    return {tag: text for tag, text in told if isinstance(tag, str) and isinstance(text, str) and text.strip()}


def languages(resource: Json) -> frozenset[str]:
    """The languages that any text of `resource` is translated to."""
    return frozenset(_languages(resource))


def translated(resource: Json, language: str) -> Json:
    """`resource` in `language`: each text that has a translation is replaced by it, and the others stay.

    The narrative stays too, and then says in which language it is.
    """
    if _is_in(resource, language):
        return resource
    copy: Json = {**_in_language(resource, language), "language": language}
    if "text" in resource and "language" in resource:
        own = resource["language"]
        div = resource["text"]["div"].replace("<div ", f'<div lang="{own}" xml:lang="{own}" ', 1)
        copy["text"] = {**resource["text"], "div": div}
    return copy


def untranslated(resource: Json, language: str) -> Iterator[str]:
    """The paths of the texts in `resource` that patients read, and that have no translation to `language`.

    Those are titles, questions, options with their words for patients, help, hints, units, constraints, a rule's
    sentences, and concepts. Extraction templates, sources, and what is said to clinicians alone is not among them.
    """
    if _is_in(resource, language):
        return
    for path, element, name in patient_texts(resource):
        if lookup(translations(element, name), language) is None:
            yield path


def patient_texts(resource: Json) -> Iterator[tuple[str, Json, str]]:
    """The texts in `resource` that patients read: path, the element that holds it, and its name there."""
    kind = resource["resourceType"]
    return _texts(resource, kind, _READ.get(kind))


def without_translations(resource: Json) -> Json:
    """`resource` with its own texts alone."""
    bare: Json = _bare(resource)
    return bare


def _is_in(resource: Json, language: str) -> bool:
    return lookup([resource.get("language", "")], language) is not None


def _in_language(node: Any, language: str) -> Any:
    if isinstance(node, list):
        return [_in_language(child, language) for child in node]
    if not isinstance(node, dict):
        return node
    copy = {name: _in_language(child, language) for name, child in node.items()}
    for name, value in node.items():
        if isinstance(value, str):
            known = translations(node, name)
            found = lookup(known, language)
            if found is not None:
                copy[name] = known[found]
    return copy


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(child) for child in node if not _is_translation(child)]
    if not isinstance(node, dict):
        return node
    copy = {name: _bare(child) for name, child in node.items()}
    return {name: child for name, child in copy.items() if child or child == node[name]}


def _is_translation(node: Any) -> bool:
    """Whether it is an extension with a translation, or a designation in a language."""
    return isinstance(node, dict) and (node.get("url") == TRANSLATION or node.keys() == {"language", "value"})


def _languages(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _languages(child)
    elif isinstance(node, dict):
        for name, child in node.items():
            yield from translations(node, "display" if name == "designation" else name.removeprefix("_"))
            yield from _languages(child)


def _is_display(designation: Json) -> bool:
    return "use" not in designation or designation["use"].get("code") == "display"


def _texts(element: Json, path: str, read: frozenset[str] | None) -> Iterator[tuple[str, Json, str]]:
    """The texts that patients read in and below `element`: path, the element that holds it, and its name there.

    `read` are the names that it may have; None where there is none to be read.
    """
    if read is None:
        return
    for name, value in element.items():
        if name in read and isinstance(value, str):
            yield f"{path}.{name}", element, name
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, dict):
                place = f"{path}.{name}[{index}]" if isinstance(value, list) else f"{path}.{name}"
                yield from _texts(child, place, _read_below(name, child, read))


def _read_below(name: str, child: Json, read: frozenset[str]) -> frozenset[str] | None:
    if name == "contained":
        return _READ.get(str(child.get("resourceType")))
    if name == "answerOption":
        return _VALUES
    if name == "extension":
        return _VALUES if str(child.get("url")).rpartition("/")[2] in _READ_EXTENSIONS else frozenset()
    # What a trigger belongs to is said to a clinician.
    return read if (name in _AROUND or name.startswith("_")) and "trigger" not in child else None
