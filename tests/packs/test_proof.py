"""Every shipped page: its rules are proved for every input, and no slip of a rule or fact goes unnoticed."""

from __future__ import annotations

from collections import Counter

import pytest

from service.packs import load_packs, shipped_pages
from service.packs.loader import load_page
from service.packs.proof import Fate, prove, try_mutants

NAMES = [pack.name for pack in load_packs(shipped_pages())]


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_are_proved(name: str) -> None:
    proof = prove(load_page(shipped_pages() / name))
    assert [one for theorem in proof.theorems for one in theorem.counterexamples] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_slip_is_noticed_or_makes_no_difference(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    trials = list(try_mutants(load_page(shipped_pages() / name)))
    fates = Counter(trial.fate for trial in trials)
    with capsys.disabled():
        print(f" {len(trials)} mutants of {name}: {', '.join(f'{fates[fate]} {fate}' for fate in Fate)}")
    assert [trial for trial in trials if trial.fate is Fate.SURVIVED] == []
    assert fates[Fate.CAUGHT_BY_VIGNETTES] > len(trials) / 2
