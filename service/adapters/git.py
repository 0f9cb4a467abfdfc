"""Folders as they were at a revision of their git repository."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from service.errors import IssueType, NotFound, error


@contextmanager
def folder_at(folder: Path, revision: str) -> Iterator[Path | None]:
    """A temporary copy of `folder` as it was at `revision`, of the same name; None where it was not there yet.

    Raises NotFound when there is no such revision, no repository, or no git.
    """
    known = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if known is None:
        text = f"There is no revision '{revision}' of a git repository around '{folder}'."
        raise NotFound([error(IssueType.NOT_FOUND, text)])
    archive = _git(folder, "archive", "--format=tar", known.decode().strip(), ".")
    if archive is None:
        yield None
        return
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.resolve().name
        copy.mkdir()
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(copy, filter="data")
        yield copy


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it refuses."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as missing:
        text = "Comparing with a revision needs git, which is not installed. Name a folder instead."
        raise NotFound([error(IssueType.NOT_FOUND, text)]) from missing
    return done.stdout if done.returncode == 0 else None
