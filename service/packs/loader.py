"""Reads pages from folders. Loading is a gate: what a check refuses is not served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from service.errors import DomainError, Issue, IssueType, error
from service.fhir.json import Json, parse_object
from service.fhir.structure import structure_issues
from service.packs.check import check_pack
from service.packs.checks import page_issues
from service.packs.pack import Pack, PackInvalid, assemble_pack
from service.packs.page import README_FILE, Page
from service.packs.statements import load_statements
from service.packs.vignettes import load_vignettes

QUESTIONNAIRE_FILE = "questionnaire.json"


def shipped_pages() -> Path:
    """The folder of the pages that come with this distribution."""
    installed = Path(__file__).parent.parent / "questionnaires"
    return installed if installed.is_dir() else installed.parent.parent / "questionnaires"


def load_packs(root: Path) -> tuple[Pack, ...]:
    """Every page below `root` (or `root` itself when it is a page), checked, by name.

    Raises PackInvalid with the issues of all pages that are unusable.
    """
    packs: list[Pack] = []
    issues: list[Issue] = []
    for folder in find_pages(root):
        try:
            packs.append(load_pack(folder))
        except PackInvalid as refusal:
            issues.extend(refusal.issues)
    if issues:
        raise PackInvalid(issues)
    return tuple(packs)


def load_pack(folder: Path) -> Pack:
    """The page in `folder`, compiled and checked. Raises PackInvalid; its issues begin with the file's place."""
    files = dict(_read(folder))
    misshapen = [
        replace(issue, expression=f"{file}: {issue.expression}")
        for file, artifact in files.items()
        for issue in structure_issues(artifact)
    ]
    if misshapen:
        raise PackInvalid(misshapen)
    try:
        pack = assemble_pack(folder.name, tuple(files.values()))
    except PackInvalid as refusal:
        raise PackInvalid(_placed(refusal.issues, folder, files)) from refusal
    issues = check_pack(pack)
    if issues:
        raise PackInvalid(_placed(issues, folder, files))
    return pack


def load_page(folder: Path) -> Page:
    """The page in `folder` with its vignettes and statements. Raises PackInvalid as `load_pack`."""
    readme = folder / README_FILE
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return Page(load_pack(folder), load_vignettes(folder), load_statements(folder), text)


def review(folder: Path, published: Pack | None = None) -> list[Issue]:
    """Everything that `pack check` finds about the page in `folder`, by file and element; see `page_issues`.

    Raises PackInvalid for a page that cannot be served.
    """
    return _placed(page_issues(load_page(folder), published), folder, dict(_read(folder)))


def find_pages(root: Path) -> list[Path]:
    """The folders of pages below `root`, by name, or `root` itself when it is a page. Raises PackInvalid for none."""
    if (root / QUESTIONNAIRE_FILE).is_file():
        return [root]
    found = sorted(file.parent for file in root.glob(f"*/{QUESTIONNAIRE_FILE}"))
    if not found:
        text = f"There is no page in '{root}': a page is a folder with a {QUESTIONNAIRE_FILE}."
        raise PackInvalid([error(IssueType.NOT_FOUND, text)])
    return found


def _read(folder: Path) -> Iterable[tuple[Path, Json]]:
    for file in sorted([*folder.glob("*.json"), *folder.glob("value-sets/*.json")]):
        try:
            yield file, parse_object(file.read_bytes())
        except DomainError as fault:
            raise PackInvalid(replace(issue, expression=str(file)) for issue in fault.issues) from fault


def _placed(issues: Iterable[Issue], folder: Path, files: dict[Path, Json]) -> list[Issue]:
    """The issues with the file before the element, as people look for it.

    An element begins with a resource type, or with type and id where there are several, or with a file's name.
    """
    by_name = {file.name: file for file in folder.glob("*.*")}
    for file, artifact in reversed(files.items()):
        by_name[str(artifact.get("resourceType"))] = file
        by_name[f"{artifact.get('resourceType')}/{artifact.get('id')}"] = file
    placed = []
    for issue in issues:
        element = issue.expression or ""
        name = element if element in by_name else element.partition(":")[0]
        if name not in by_name:
            name = element.partition(".")[0].partition("[")[0]
        placed.append(replace(issue, expression=f"{by_name.get(name, folder)}: {element}"))
    return placed
