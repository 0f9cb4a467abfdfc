"""Judges PDFs by veraPDF, an independent validator of PDF/UA."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
JARS = FOLDER / ".verapdf"


def faults(files: Sequence[Path]) -> list[list[str]]:
    """For each file why it is no PDF/UA-1, by clause; nothing for one that conforms.

    Raises RuntimeError when veraPDF is not there, or has not judged them all.
    """
    if not (JARS / "installed").exists():
        raise RuntimeError("veraPDF is not there: tests/run installs it")
    command = ["java", "-cp", str(JARS / "*"), str(FOLDER / "PdfUa.java"), *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    if run.returncode or {name for name, *_ in lines} != {*map(str, files)}:
        raise RuntimeError(f"veraPDF failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    told = [(name, clause, text) for name, clause, text in lines if clause != "conforms"]
    return [[f"{clause} {text}" for name, clause, text in told if name == str(file)] for file in files]
