"""The worked cases of the muscle twitching page, as responses about a patient."""

from __future__ import annotations

from collections import Counter
from functools import cache

from service.packs import Pack, load_pack, shipped_pages
from service.packs.vignettes import Vignette, load_vignettes, vignette_response
from tests.hapi.client import TEST_TAG_SYSTEM, Json

PAGE = shipped_pages() / "muscle-fasciculation"


@cache
def page() -> Pack:
    """The page, compiled once."""
    return load_pack(PAGE)


@cache
def vignettes() -> tuple[Vignette, ...]:
    """Every vignette of the page."""
    return load_vignettes(PAGE)


def worked_cases() -> list[Vignette]:
    """The twelve worked cases and their variants."""
    return [vignette for vignette in vignettes() if vignette.name.startswith("case-")]


def case(name: str) -> Vignette:
    """The first vignette whose name begins with `name`."""
    return next(vignette for vignette in vignettes() if vignette.name.startswith(name))


def response_to(vignette: Vignette, patient: str, key: str | None = None) -> Json:
    """The response of `vignette` about `patient` (`Patient/id`); `key` is the value of its identifier, if any."""
    response: Json = {**vignette_response(page(), vignette), "subject": {"reference": patient}}
    if key is not None:
        response["identifier"] = {"system": TEST_TAG_SYSTEM, "value": key}
    return response


CASE = case("case-08")
# An Observation for each of its 15 answers but the side, and one for the triage result.
ONE_RECORD = Counter(QuestionnaireResponse=1, Observation=16, Condition=1, Provenance=1)
