"""How contenders are timed: in turn within every round, so that a busy machine slows all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Contender:
    """What is timed: `run(n)` does the same work n times and answers the seconds it took."""

    name: str
    run: Callable[[int], float]
    repetitions: int


def timed(work: Callable[[], object]) -> Callable[[int], float]:
    """`work` as the `run` of a contender in this process."""

    def run(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            work()
        return perf_counter() - start

    return run


def medians(contenders: Sequence[Contender], rounds: int) -> Mapping[str, float]:
    """Seconds for the work once, by the contender's name: the median of the rounds, after one that does not count."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            spent = contender.run(contender.repetitions) / contender.repetitions
            if number:
                seconds[contender.name].append(spent)
    return {name: median(one) for name, one in seconds.items()}


def verdict(goal: str, *, met: bool) -> str:
    """A goal, and whether it is met: a benchmark reports, it does not fail."""
    return f"goal {'met' if met else 'MISSED'}: {goal}"
