"""A timeline of responses as a drawing: where its lines and dots stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.records.summary import Point
from service.sdc.triage import Level

_MOST_DOTS: Final = 6
_LEFT: Final = 142
_COLUMN: Final = 46
_ROW: Final = 36
_TOP: Final = 26


@dataclass(frozen=True, slots=True)
class Dot:
    """One response: where its dot stands, in pixels from the left and from the top, and its day ("15 Mar")."""

    x: int
    y: int
    day: str
    point: Point


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing, in pixels: each level with the height of its line, the highest level on top; lines begin at `left`.

    Only the last responses are drawn, and those that have a level.
    """

    width: int
    height: int
    left: int
    levels: tuple[tuple[Level, int], ...]
    dots: tuple[Dot, ...]


def timeline_drawing(points: Sequence[Point], levels: Sequence[Level]) -> Timeline:
    """The drawing of `points`, the earliest first, on these levels, the lowest first."""
    heights = {level.code: _TOP + index * _ROW for index, level in enumerate(reversed(levels))}
    drawn = [point for point in points if point.level is not None and point.level.code in heights][-_MOST_DOTS:]
    dots = tuple(
        Dot(_LEFT + _COLUMN // 2 + index * _COLUMN, heights[point.level.code], _day(point.authored), point)
        for index, point in enumerate(drawn)
        if point.level is not None
    )
    return Timeline(
        width=_LEFT + _COLUMN * len(drawn),
        height=_TOP + _ROW * len(heights),
        left=_LEFT,
        levels=tuple((level, heights[level.code]) for level in reversed(levels)),
        dots=dots,
    )


def _day(authored: str) -> str:
    """The day of a dateTime, which may be a year or a month alone."""
    return authored[5:10] or authored
