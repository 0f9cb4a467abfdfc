"""What `pack check` finds beyond the gate that every page passes to be served: one module a concern."""

from __future__ import annotations

from service.errors import Issue
from service.packs.checks.changes import change_issues
from service.packs.checks.codes import code_issues
from service.packs.checks.contexts import context_issues
from service.packs.checks.coverage import coverage_issues
from service.packs.checks.options import option_issues
from service.packs.checks.references import reference_issues
from service.packs.checks.rules import rule_issues
from service.packs.checks.translations import translation_issues
from service.packs.pack import Pack
from service.packs.page import Page

__all__ = ["page_issues"]


def page_issues(page: Page, published: Pack | None = None) -> list[Issue]:
    """All findings about a page that loads; `published` is the copy that is in use, where there is one."""
    found = [
        *context_issues(page.pack),
        *reference_issues(page.pack),
        *option_issues(page.pack, page.statements),
        *rule_issues(page.pack),
        *code_issues(page),
        *coverage_issues(page),
        *translation_issues(page.pack),
    ]
    return found if published is None else [*found, *change_issues(page.pack, published)]
