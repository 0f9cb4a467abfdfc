"""The facts and rules of the shipped page on its worked cases, against npm's fhirpath and PyPI's fhirpathpy.

    python -m tests.benchmarks.rules [--rounds 5] [--cases 19]

All compile first and keep what they compiled; npm's engine has the R4 model and is warm. Each contender evaluates every
rule of a case once, and every fact that rules read; we build our index of the response in that time too. npm's fhirpath
is installed by tests/run, fhirpathpy by the extra `bench`; what is missing is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from service.packs import Pack, load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.sdc.assessment import assess
from service.sdc.context import base_variables, read_response, root_environment
from service.sdc.questionnaire import Variable
from tests.benchmarks.measuring import Contender, medians, timed, verdict

PAGE = "muscle-fasciculation"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
GOAL_TIMES = 10
MODULES = Path(__file__).parents[1] / "spec" / "fhirpath" / "oracle" / "node_modules"

Fired = list[list[str]]
"""The ids of the rules that are true, case by case."""


@dataclass(frozen=True, slots=True)
class Case:
    """A response as assessment sees it, and what else the rules read: plain JSON by name."""

    resource: dict[str, Any]
    authored_date: str
    variables: Mapping[str, list[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    pack = load_pack(shipped_pages() / PAGE)
    cases = list(_cases(pack))[: options.cases]
    expressions = len(_facts(pack)) + len(pack.plan.rules)
    print(f"{PAGE}: {len(pack.plan.rules)} rules, {expressions} expressions in all, {len(cases)} cases")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    run = _ours(pack, cases)
    ours = run()
    contenders = [Contender("symptom-intake", timed(run), options.repetitions * 10)]
    with ExitStack() as stack:
        if MODULES.is_dir():
            npm = stack.enter_context(_npm(pack, cases))
            print(f"npm fhirpath {npm.version}; {_agreement(ours, npm.fired)}")
            contenders.append(Contender("npm fhirpath", npm.seconds, options.repetitions))
        else:
            print("npm's fhirpath is not installed: run tests/run first")
        if find_spec("fhirpathpy"):
            peer = Fhirpathpy(pack, cases)
            print(f"fhirpathpy {version('fhirpathpy')}; {_agreement(ours, peer.run())}")
            contenders.append(Contender("fhirpathpy", timed(peer.run), 1))
        else:
            print("fhirpathpy is not installed: install the extra `bench`")
        _report(medians(contenders, options.rounds), len(cases), expressions)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rules of a page, timed against other engines.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=1000, help="at most so many of the worked cases")
    parser.add_argument("--repetitions", type=int, default=2)
    return parser.parse_args(arguments)


def _cases(pack: Pack) -> Iterator[Case]:
    for vignette in load_vignettes(shipped_pages() / pack.name):
        response = vignette_response(pack, vignette)
        if not vignette.name.startswith("case-") or response["status"] != "completed":
            continue
        context = read_response(pack.questionnaire, response, NOW)
        outcomes = assess(pack.plan, context)
        engine = {name: [str(item) for item in context.environment.variables[name]] for name in _ENGINE_VARIABLES}
        engine["fired"] = [outcome.rule.id for outcome in outcomes.fired]
        engine["notAssessed"] = [outcome.rule.id for outcome in outcomes.not_assessed]
        yield Case(context.counted, str(response["authored"])[:10], engine)


_ENGINE_VARIABLES = ("hidden", "exclusiveConflicts", "previous")


def _ours(pack: Pack, cases: Sequence[Case]) -> Callable[[], Fired]:
    questionnaire, facts = pack.questionnaire, _facts(pack)
    bases = [{**base_variables(questionnaire, case.resource, NOW, {}), **case.variables} for case in cases]

    def run() -> Fired:
        found = []
        for case, base in zip(cases, bases, strict=True):
            environment = root_environment(questionnaire, case.resource, NOW, base)
            focus = environment.variables["resource"]
            for fact in facts:
                environment.variables[fact.name]
            found.append([rule.id for rule in pack.plan.rules if rule.expression.test(focus, environment) is True])
        return found

    return run


@dataclass(frozen=True, slots=True)
class Npm:
    """npm's fhirpath in a process of its own, warm."""

    version: str
    fired: Fired
    seconds: Callable[[int], float]


@contextmanager
def _npm(pack: Pack, cases: Sequence[Case]) -> Iterator[Npm]:
    with subprocess.Popen(
        ["node", Path(__file__).with_name("npm_rules.js")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    ) as process:

        def ask(question: object) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(question, default=float) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        facts, rules = _expressions(pack)
        told = [
            {"resource": case.resource, "authoredDate": case.authored_date, "variables": case.variables}
            for case in cases
        ]
        fired = ask({"facts": facts, "rules": rules, "cases": told})
        package = json.loads((MODULES / "fhirpath" / "package.json").read_text(encoding="utf-8"))
        yield Npm(package["version"], fired, lambda count: float(ask(count)) / 1e9)


class Fhirpathpy:
    """PyPI's fhirpathpy, compiled."""

    def __init__(self, pack: Pack, cases: Sequence[Case]) -> None:
        from fhirpathpy import compile as compiled
        from fhirpathpy.models import models

        facts, rules = _expressions(pack)
        self._facts = [(name, compiled(text, models["r4"])) for name, text in facts]
        self._rules = [(name, compiled(text, models["r4"])) for name, text in rules]
        self._cases = [(json.loads(json.dumps(case.resource, default=float)), case) for case in cases]

    def run(self) -> Fired:
        """Every fact and rule of every case."""
        return [self._fired(resource, case) for resource, case in self._cases]

    def _fired(self, resource: dict[str, Any], case: Case) -> list[str]:
        known: dict[str, Any] = {**case.variables, "resource": resource, "authoredDate": case.authored_date}
        for name, expression in self._facts:
            known[name] = expression(resource, known)
        return [name for name, rule in self._rules if rule(resource, known) == [True]]


def _facts(pack: Pack) -> list[Variable]:
    """The variables that the rules read, themselves or through others, in the page's order: each reads earlier ones."""
    wanted = {name for rule in pack.plan.rules for name in rule.expression.variables}
    found = []
    for variable in reversed(pack.questionnaire.variables):
        if variable.name in wanted:
            wanted |= variable.expression.variables
            found.append(variable)
    return found[::-1]


def _expressions(pack: Pack) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    facts = [(fact.name, fact.expression.text) for fact in _facts(pack)]
    return facts, [(rule.id, rule.expression.text) for rule in pack.plan.rules]


def _agreement(ours: Fired, theirs: Fired) -> str:
    same = sum(set(one) == set(other) for one, other in zip(ours, theirs, strict=True))
    return f"the same rules fire in {same} of {len(ours)} cases"


def _report(seconds: Mapping[str, float], cases: int, expressions: int) -> None:
    ours = seconds["symptom-intake"]
    for name, spent in seconds.items():
        case, expression = spent / cases * 1e6, spent / cases / expressions * 1e6
        print(f"{name:16} {case:12,.0f} µs a case {expression:10,.2f} µs an expression {spent / ours:8.1f} x")
    if "npm fhirpath" in seconds:
        times = seconds["npm fhirpath"] / ours
        print(verdict(f"{GOAL_TIMES} times npm's fhirpath on the page's rules: {times:.1f}", met=times >= GOAL_TIMES))


if __name__ == "__main__":
    sys.exit(main())
