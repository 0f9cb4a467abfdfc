"""Reads pages from folders. Loading is a gate: what a check refuses is not served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from service.errors import DomainError, Issue, IssueType, error
from service.fhir.json import Json, parse_object
from service.fhir.structure import structure_issues
from service.packs.check import check_pack
from service.packs.pack import Pack, PackInvalid, assemble_pack

QUESTIONNAIRE_FILE = "questionnaire.json"


def shipped_pages() -> Path:
    """The folder of the pages that come with this distribution."""
    installed = Path(__file__).parent.parent / "questionnaires"
    return installed if installed.is_dir() else installed.parent.parent / "questionnaires"


def load_packs(root: Path) -> tuple[Pack, ...]:
    """Every page below `root` (or `root` itself when it is a page), checked, by name.

    Raises PackInvalid with the issues of all pages that are unusable.
    """
    folders = [root] if (root / QUESTIONNAIRE_FILE).is_file() else _page_folders(root)
    packs: list[Pack] = []
    issues: list[Issue] = []
    for folder in folders:
        try:
            packs.append(load_pack(folder))
        except PackInvalid as refusal:
            issues.extend(refusal.issues)
    if not folders:
        text = f"There is no page in '{root}': a page is a folder with a {QUESTIONNAIRE_FILE}."
        issues.append(error(IssueType.NOT_FOUND, text))
    if issues:
        raise PackInvalid(issues)
    return tuple(packs)


def load_pack(folder: Path) -> Pack:
    """The page in `folder`, compiled and checked. Raises PackInvalid; its issues begin with the file's place."""
    files = dict(_read(folder))
    misshapen = [issue for artifact in files.values() for issue in structure_issues(artifact)]
    if misshapen:
        raise PackInvalid(_placed(misshapen, folder, files))
    try:
        pack = assemble_pack(folder.name, tuple(files.values()))
    except PackInvalid as refusal:
        raise PackInvalid(_placed(refusal.issues, folder, files)) from refusal
    issues = check_pack(pack)
    if issues:
        raise PackInvalid(_placed(issues, folder, files))
    return pack


def _page_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(folder for folder in root.iterdir() if (folder / QUESTIONNAIRE_FILE).is_file())


def _read(folder: Path) -> Iterable[tuple[Path, Json]]:
    for file in sorted([*folder.glob("*.json"), *folder.glob("value-sets/*.json")]):
        try:
            yield file, parse_object(file.read_bytes())
        except DomainError as fault:
            raise PackInvalid(replace(issue, expression=str(file)) for issue in fault.issues) from fault


def _placed(issues: Iterable[Issue], folder: Path, files: dict[Path, Json]) -> list[Issue]:
    """The issues with the file before the element, as people look for it."""
    by_type = {artifact.get("resourceType"): file for file, artifact in reversed(files.items())}
    placed = []
    for issue in issues:
        element = issue.expression or ""
        file = by_type.get(element.partition(".")[0].partition("[")[0], folder)
        placed.append(replace(issue, expression=f"{file}: {element}"))
    return placed
