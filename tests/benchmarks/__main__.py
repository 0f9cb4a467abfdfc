"""All benchmarks, one after the other: what README shows under "Speed".

    python -m tests.benchmarks [--kept 1000000]

With --kept accepts and deliveries are also measured on databases that have kept so many responses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

from tests.benchmarks import cds, delivery, load, pipeline, rules, validation


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="All benchmarks.")
    parser.add_argument("--kept", default="0")
    kept = parser.parse_args().kept
    print(f"Measured on {datetime.now(UTC).date()}.")
    for benchmark in (rules, validation, pipeline, cds):
        _measure(benchmark.__name__, lambda run=benchmark.main: run([]))
    _measure(load.__name__, lambda: load.main(["--kept", kept]))
    _measure(delivery.__name__, lambda: delivery.main([]))
    if kept != "0":
        _measure(f"{delivery.__name__} --kept {kept}", lambda: delivery.main(["--kept", kept]))


def _measure(name: str, run: Callable[[], object]) -> None:
    print(f"\n{name}", flush=True)
    run()


if __name__ == "__main__":
    main()
