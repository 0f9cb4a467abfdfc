"""What one response costs on its whole way, beside the extraction alone of npm's @aehrc/sdc-template-extract.

    python -m tests.benchmarks.pipeline [--rounds 5]

The shipped page and its worked case 5. The way is: parse the body, validate, assess, extract, serialise the Bundle.
Each stage is timed by itself and all together, in turn with the peer, which extracts from the same two resources.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.fhir.json import dumps, parse_object
from service.packs import Pack, load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.sdc.assessment import assess
from service.sdc.context import read_response
from service.sdc.extraction import extract, transaction_bundle
from service.sdc.validation import examine, validate
from tests.benchmarks.measuring import Contender, medians, timed, verdict

PAGE = "muscle-fasciculation"
CASE = "case-05"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
GOAL_TIMES = 50
WHOLE, PEER = "whole pipeline", "npm extraction alone"
MODULES = Path(__file__).with_name("npm") / "node_modules"
PACKAGE = "@aehrc/sdc-template-extract"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    pack = load_pack(shipped_pages() / PAGE)
    body = _body(pack)
    contenders = list(_stages(pack, body, options.repetitions))
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {PAGE}, {CASE}")
    print(f"we extract {len(extract(pack.extraction, _read(pack, parse_object(body)), _no_id))} resources")
    with ExitStack() as stack:
        if MODULES.is_dir():
            contenders.append(stack.enter_context(_npm(pack, body)))
        else:
            print(f"npm's {PACKAGE} is not installed: run tests/run first")
        seconds = medians(contenders, options.rounds)
    for name, spent in seconds.items():
        print(f"{name:24} {spent * 1e6:12,.0f} µs {spent / seconds[WHOLE]:8.2f} x")
    if PEER in seconds:
        times = seconds[PEER] / seconds[WHOLE]
        goal = f"the whole pipeline {GOAL_TIMES} times faster than the peer's extraction alone: {times:.0f}"
        print(verdict(goal, met=times >= GOAL_TIMES))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A response on its whole way, timed by stage and beside a peer.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=100)
    return parser.parse_args(arguments)


def _body(pack: Pack) -> bytes:
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(CASE))
    response = {**vignette_response(pack, vignette), "id": "r", "subject": {"reference": "Patient/1"}}
    return dumps(response).encode()


def _stages(pack: Pack, body: bytes, repetitions: int) -> Iterator[Contender]:
    response = parse_object(body)
    context = _read(pack, response)
    bundle = transaction_bundle(extract(pack.extraction, context, _no_id))

    def whole() -> str:
        received = parse_object(body)
        issues, read = examine(pack.questionnaire, received, NOW)
        assert read is not None
        assert not [issue for issue in issues if issue.is_error]
        assess(pack.plan, read)
        return dumps(transaction_bundle(extract(pack.extraction, read, _no_id)))

    stages = {
        "parse": lambda: parse_object(body),
        "validate": lambda: validate(pack.questionnaire, response, NOW),
        "read for assess, extract": lambda: _read(pack, response),
        "assess (with read)": lambda: assess(pack.plan, _read(pack, response)),
        "extract (with read)": lambda: extract(pack.extraction, _read(pack, response), _no_id),
        "serialise": lambda: dumps(bundle),
        WHOLE: whole,
    }
    for name, work in stages.items():
        yield Contender(name, timed(work), repetitions)


def _read(pack: Pack, response: dict[str, Any]) -> Any:
    return read_response(pack.questionnaire, response, NOW)


def _no_id() -> str:
    return "00000000-0000-4000-8000-000000000000"


@contextmanager
def _npm(pack: Pack, body: bytes) -> Iterator[Contender]:
    with subprocess.Popen(
        ["node", Path(__file__).with_name("npm_extract.js")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    ) as process:

        def ask(question: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(question + "\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        found = ask(dumps({"questionnaire": pack.questionnaire.definition, "response": parse_object(body)}))
        version = json.loads((MODULES / PACKAGE / "package.json").read_text(encoding="utf-8"))["version"]
        print(f"npm {PACKAGE} {version} extracts {found:.0f} resources")
        yield Contender(PEER, lambda count: ask(str(count)) / 1e9, 2)


if __name__ == "__main__":
    sys.exit(main())
