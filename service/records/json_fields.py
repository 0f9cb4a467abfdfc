"""Reads the fields of a JSON object that is no FHIR resource, and collects what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.errors import Detail, Issue, IssueType, Malformed, error
from service.fhir.json import Json


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of `node`, which stands at `path` ("" at the root). `issues` is shared by all that is read of a body.

    What is refused reads as None, or as no objects: look at `issues`, or call `accept`, before using the rest.
    """

    node: Json
    path: str = ""
    issues: list[Issue] = field(default_factory=list)

    @classmethod
    def of_body(cls, body: Any) -> Fields:
        """The fields of a whole body. Raises Malformed when it is no object."""
        if not isinstance(body, dict):
            raise Malformed([error(IssueType.STRUCTURE, "The body is a JSON object.", detail=Detail.MALFORMED)])
        return cls(body)

    def accept(self) -> None:
        """Raises Malformed with all that was found wrong."""
        if self.issues:
            raise Malformed(self.issues)

    def text(
        self, name: str, is_valid: Callable[[str], bool] = bool, wanted: str = "a text", *, required: bool = True
    ) -> str | None:
        """The text of a field that `is_valid`; `wanted` describes it."""
        value = self._value(name, wanted, required)
        if value is None:
            return None
        if isinstance(value, str) and value.strip() and is_valid(value):
            return value
        self.refuse(name, f"'{name}' must be {wanted}.")
        return None

    def number(self, name: str) -> int | None:
        """The whole number, from 0, of a required field."""
        value = self._value(name, "a whole number", required=True)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self.refuse(name, f"'{name}' must be a whole number from 0.")
        return None

    def object(self, name: str, *, required: bool = True) -> Fields | None:
        """The fields of the object in a field."""
        value = self._value(name, "an object", required)
        if value is None:
            return None
        if isinstance(value, dict) and value:
            return Fields(value, self.place(name), self.issues)
        self.refuse(name, f"'{name}' must be an object that is not empty.")
        return None

    def objects(self, name: str, *, required: bool = True) -> tuple[Fields, ...]:
        """The fields of each object in the array of a field."""
        values = self._value(name, "an array of objects", required)
        if values is None:
            return ()
        if isinstance(values, list) and values and all(isinstance(one, dict) for one in values):
            place = self.place(name)
            return tuple(Fields(one, f"{place}[{index}]", self.issues) for index, one in enumerate(values))
        self.refuse(name, f"'{name}' must be an array of objects that is not empty.")
        return ()

    def place(self, name: str) -> str:
        """Where a field stands ("feedback[0].card")."""
        return f"{self.path}.{name}" if self.path else name

    def refuse(self, name: str, text: str) -> None:
        """Adds what is wrong with a field."""
        self.issues.append(error(IssueType.VALUE, text, self.place(name), Detail.INVALID_VALUE))

    def _value(self, name: str, wanted: str, required: bool) -> Any:
        value = self.node.get(name)
        if value is None and required:
            text = f"'{name}' is needed: {wanted}."
            self.issues.append(error(IssueType.REQUIRED, text, self.place(name), Detail.REQUIRED_MISSING))
        return value
