"""SMART scopes, as they are written in both versions."""

from __future__ import annotations

import pytest

from service.records.scopes import Level, Permission, Scope, ScopeSyntax, read_scope, read_scopes


@pytest.mark.parametrize(
    ("text", "permissions"),
    [
        ("patient/Observation.rs", "rs"),
        ("patient/Observation.cruds", "cruds"),
        ("patient/Observation.c", "c"),
        ("patient/Observation.read", "rs"),
        ("patient/Observation.write", "cud"),
        ("patient/Observation.*", "cruds"),
    ],
)
def test_permissions_of_both_versions(text: str, permissions: str) -> None:
    scope = read_scope(text)
    assert scope is not None
    assert (scope.level, scope.resource_type, scope.permissions) == (
        Level.PATIENT,
        "Observation",
        frozenset(permissions),
    )


@pytest.mark.parametrize(
    "text",
    ["openid", "launch/patient", "patient/Observation", "patient/observation.rs", "patient/Observation.sr",
     "practice/Observation.rs", "patient/Observation.read?code=x", "patient/Observation.rs?", "", "patient/*.rs "],
)  # fmt: skip
def test_what_is_no_scope_for_resources(text: str) -> None:
    assert read_scope(text) is None


def test_a_search_may_narrow_a_scope() -> None:
    assert read_scopes(["openid", "user/Observation.rs?category=laboratory"]) == (
        Scope(Level.USER, "Observation", frozenset("rs"), ScopeSyntax.V2, "category=laboratory"),
    )


def test_a_wildcard_covers_every_type_but_the_audit() -> None:
    (wildcard, named) = read_scopes(["system/*.rs", "system/AuditEvent.rs"])
    assert wildcard.covers("Observation", Permission.READ)
    assert not wildcard.covers("Observation", Permission.CREATE)
    assert not wildcard.covers("AuditEvent", Permission.READ)
    assert named.covers("AuditEvent", Permission.SEARCH)
