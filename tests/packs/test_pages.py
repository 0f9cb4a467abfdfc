"""Every shipped page: it loads through the gate, and each of its vignettes gives what it says."""

from __future__ import annotations

import pytest

from service.packs import Pack, load_packs, shipped_pages
from service.packs.vignettes import Vignette, load_vignettes, run_vignette

PACKS = load_packs(shipped_pages())
CASES = [(pack, vignette) for pack in PACKS for vignette in load_vignettes(shipped_pages() / pack.name)]


@pytest.mark.parametrize(("pack", "vignette"), CASES, ids=[f"{pack.name}-{case.name}" for pack, case in CASES])
def test_a_vignette_gives_what_it_says(pack: Pack, vignette: Vignette) -> None:
    assert run_vignette(pack, vignette) == []


@pytest.mark.parametrize("pack", PACKS, ids=[pack.name for pack in PACKS])
def test_every_vignette_gives_the_same_in_spanish(pack: Pack) -> None:
    spanish = pack.in_language("es")
    assert spanish.language == "es"
    for vignette in load_vignettes(shipped_pages() / pack.name):
        assert run_vignette(spanish, vignette) == [], vignette.name


@pytest.mark.parametrize("pack", PACKS, ids=[pack.name for pack in PACKS])
def test_every_rule_is_seen_to_fire_and_not_to_fire(pack: Pack) -> None:
    vignettes = load_vignettes(shipped_pages() / pack.name)
    assert len({vignette.name for vignette in vignettes}) == len(vignettes)
    fired = {identity for vignette in vignettes for identity in vignette.rules}
    quiet = {rule.id for rule in pack.plan.rules for vignette in vignettes if rule.id not in vignette.rules}
    identities = {rule.id for rule in pack.plan.rules}
    assert fired == quiet == identities
