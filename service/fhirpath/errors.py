"""What can be wrong with a FHIRPath expression: when it is compiled, and when it is evaluated."""

from __future__ import annotations


class FhirPathError(ValueError):
    """An expression that cannot be compiled.

    `text` is the whole expression, `position` the offset (from 0) of the part at fault, `reason` says what is wrong.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.text = text
        self.position = position
        self.reason = reason
        super().__init__(f"{reason} (line {self.line}, column {self.column} of: {_shortened(text)})")

    @property
    def line(self) -> int:
        """Line of the fault, from 1."""
        return self.text.count("\n", 0, self.position) + 1

    @property
    def column(self) -> int:
        """Column of the fault in its line, from 1."""
        return self.position - self.text.rfind("\n", 0, self.position)


class EvaluationError(FhirPathError):
    """A compiled expression met data that the specification makes an error, such as two items where one is expected."""


class Fault(Exception):
    """An error of evaluation that does not know its place yet; the part that calls the operation adds it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def _shortened(text: str) -> str:
    limit = 300
    return text if len(text) <= limit else text[:limit] + "…"
