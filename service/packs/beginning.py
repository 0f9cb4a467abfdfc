"""A new page to begin from: a small one that passes every check, copied under its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from service.errors import Invalid, IssueType, error

_BEGINNING: Final = Path(__file__).parent / "new-page"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME: Final = 48
"""The id of a resource has at most 64 characters, and begins with this name."""


def begin_page(folder: Path, name: str) -> Path:
    """Makes the folder of a new page called `name` within `folder`, and returns it.

    Raises Invalid for a name that is none, or that is taken.
    """
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        text = (
            f"'{name}' is no name for a page: lower-case words joined by hyphens, {_LONGEST_NAME} characters at most."
        )
        raise Invalid([error(IssueType.VALUE, text)])
    page = folder / name
    if page.exists():
        raise Invalid([error(IssueType.DUPLICATE, f"'{page}' is there already. Choose another name.")])
    page.mkdir(parents=True)
    words = name.split("-")
    title = " ".join(words).capitalize()
    names = {"page-name": name, "PageName": "".join(map(str.capitalize, words)), "Page title": title}
    for file in sorted(_BEGINNING.iterdir()):
        text = file.read_text(encoding="utf-8")
        for placeholder, own in names.items():
            text = text.replace(placeholder, own)
        (page / file.name).write_text(text, encoding="utf-8")
    return page
