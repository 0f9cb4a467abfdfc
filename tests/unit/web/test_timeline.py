"""The drawing of a timeline: the lowest level at the bottom, the latest response on the right."""

from __future__ import annotations

from service.records.summary import Point
from service.sdc.triage import Level
from service.web.timeline import timeline_drawing

LEVELS = tuple(Level("urn:levels", code, code.title(), "", order, None) for order, code in enumerate("abc"))


def point(day: int, level: Level | None) -> Point:
    return Point(f"r{day}", f"2026-03-{day:02d}T08:00:00Z", level, 1, is_shown=False)


def test_higher_levels_stand_higher_and_later_responses_further_right() -> None:
    drawing = timeline_drawing([point(1, LEVELS[0]), point(2, LEVELS[2])], LEVELS)
    first, second = drawing.dots
    assert first.x < second.x < drawing.width
    assert second.y < first.y < drawing.height
    assert [(level.code, height) for level, height in drawing.levels] == [
        ("c", second.y),
        ("b", (first.y + second.y) // 2),
        ("a", first.y),
    ]


def test_what_has_no_level_here_is_not_drawn_and_only_the_last_are() -> None:
    strange = Level("urn:levels", "z", "Z", "", 9, None)
    points = [*(point(day, LEVELS[1]) for day in range(1, 9)), point(9, None), point(10, strange)]
    assert [dot.day for dot in timeline_drawing(points, LEVELS).dots] == [f"03-0{day}" for day in range(3, 9)]


def test_a_response_of_a_month_is_named_by_it() -> None:
    (dot,) = timeline_drawing([Point("r1", "2026", LEVELS[0], None, is_shown=True)], LEVELS).dots
    assert dot.day == "2026"
