"""SMART's scopes for FHIR resources, in the notation of version 1 (`.read`) and of version 2 (`.rs?category=…`).

http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_V1_PARTS: Final = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset("cruds")}
_SCOPE: Final = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]*)\.(\*|read|write|c?r?u?d?s?)(?:\?(.+))?")
# Who read whose record is no part of the record: a scope must name it.
_NEVER_IMPLIED: Final = frozenset({"AuditEvent"})


class Level(StrEnum):
    """Whose data a scope speaks of: one patient's, what a user may see, or everything."""

    PATIENT = "patient"
    USER = "user"
    SYSTEM = "system"


class Permission(StrEnum):
    """What may be done."""

    CREATE = "c"
    READ = "r"
    UPDATE = "u"
    DELETE = "d"
    SEARCH = "s"


class ScopeSyntax(StrEnum):
    """How a scope is written: SMART v2 (`.rs`), or v1 (`.read`)."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope. `resource_type` may be "*"; `restriction` is the search that narrows it, as it was written."""

    level: Level
    resource_type: str
    permissions: frozenset[str]
    syntax: ScopeSyntax
    restriction: str | None = None

    def covers(self, resource_type: str, permission: Permission) -> bool:
        """True where it permits this on the type, be it within its restriction."""
        named = self.resource_type == resource_type
        implied = self.resource_type == "*" and resource_type not in _NEVER_IMPLIED
        return permission in self.permissions and (named or implied)


def read_scope(text: str) -> Scope | None:
    """The scope that `text` writes; None for one that is not about resources."""
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    level, resource_type, suffix, restriction = match.groups()
    syntax = ScopeSyntax.V1 if suffix in _V1_PARTS else ScopeSyntax.V2
    if restriction is not None and syntax is ScopeSyntax.V1:
        return None
    return Scope(Level(level), resource_type, _V1_PARTS.get(suffix, frozenset(suffix)), syntax, restriction)


def read_scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Those of `texts` that are about resources."""
    return tuple(scope for text in texts if (scope := read_scope(text)) is not None)
