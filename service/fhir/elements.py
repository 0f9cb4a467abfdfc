"""Reading FHIR elements: extensions, choice values, canonicals, codings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from service.fhir.json import Json

ENTERED_IN_ERROR: Final = "entered-in-error"
"""The code of a status or verificationStatus that voids a resource."""


def objects_in(value: Any) -> Iterator[Json]:
    """The objects in the array `value`, which another server sent and may be anything: what is none is passed over."""
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def extensions(element: Json, url: str) -> Iterator[Json]:
    """The extensions of `element` with this `url`, in order."""
    return (extension for extension in element.get("extension", ()) if extension.get("url") == url)


def extension_value(element: Json, url: str) -> Any:
    """The value of the first extension with this `url`; None when there is none or it has no value."""
    for extension in extensions(element, url):
        return choice_value(extension)
    return None


def typed_extension_value(element: Json, url: str, *types: type) -> Any:
    """As `extension_value`, but None also for a value of none of these JSON types."""
    value = extension_value(element, url)
    return value if isinstance(value, types) and isinstance(value, bool) == (bool in types) else None


def choice_value(element: Json) -> Any:
    """The value of the choice element `value[x]` of `element`, whatever its type; None when absent."""
    key = choice_key(element)
    return None if key is None else element[key]


def choice_key(element: Json) -> str | None:
    """The name under which `value[x]` stands in `element` ("valueCoding"); None when absent."""
    for key in element:
        if key.startswith("value") and len(key) > len("value"):
            return key
    return None


def canonical(resource: Json) -> str:
    """The canonical of `resource` with its version ("url|version"), or without when it has none."""
    version = resource.get("version")
    return f"{resource['url']}|{version}" if version else str(resource["url"])


def split_canonical(text: str) -> tuple[str, str | None]:
    """The url and the version of a canonical; a fragment is dropped."""
    url, _, version = text.partition("#")[0].partition("|")
    return url, version or None


def coding_token(coding: Json) -> str:
    """A Coding as a token "system|code" (FHIR search syntax, unescaped)."""
    return f"{coding.get('system', '')}|{coding.get('code', '')}"


def search_escaped(text: str) -> str:
    r"""`text` as a value of a FHIR search: a backslash before each `\` `,` `$` `|`."""
    return re.sub(r"[\\,$|]", r"\\\g<0>", text)


def objects(node: Any, path: str) -> Iterator[tuple[str, Json]]:
    """Every JSON object in and below `node`, parents first, each with its path; `path` is that of `node`."""
    if isinstance(node, dict):
        yield path, node
        for name, child in node.items():
            yield from objects(child, f"{path}.{name}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from objects(child, f"{path}[{index}]")


def is_entered_in_error(resource: Json) -> bool:
    """Whether `resource` is marked as entered in error."""
    codings = resource.get("verificationStatus", {}).get("coding", [])
    return ENTERED_IN_ERROR in (resource.get("status"), *(coding.get("code") for coding in codings))
