"""The proof of a page finds what is wrong with it, shows it by a response, and refuses what it cannot see through."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.packs import PackInvalid, assemble_pack
from service.packs.page import Page
from service.packs.proof import Fate, Proof, Unprovable, prove, try_mutants
from service.packs.statements import Equivalent, Statements, Threshold, load_statements
from service.packs.vignettes import Previous, Vignette

BASE = "https://page.example/fhir/"
UNSURE = frozenset({"unsure"})
LEVELS = ("rest", "call", "run")


def question(link_id: str, codes: str, **more: Any) -> dict[str, Any]:
    """A choice with these codes; those after a bar are exclusive."""
    plain, _, exclusive = codes.partition("|")
    options = [{"valueCoding": {"system": BASE, "code": code}} for code in plain.split()]
    mark = {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive", "valueBoolean": True}
    options += [{"extension": [mark], "valueCoding": {"system": BASE, "code": code}} for code in exclusive.split()]
    return {"linkId": link_id, "type": "choice", "answerOption": options, **more}


def answer(link_id: str) -> str:
    return f"%resource.repeat(item).where(linkId = '{link_id}').answer.value"


SIGNS = question("signs", "fever rash itch | none unsure", repeats=True, required=True)
SIGNS_FACTS = {
    "signs": f"{answer('signs')}.ofType(Coding).code",
    "unchosen": "iif(%signs.exists() and (%signs contains 'unsure').not()"
    " and (%exclusiveConflicts contains 'signs').not(), false, {})",
    "fever": "%signs contains 'fever' or %unchosen",
    "rash": "%signs contains 'rash' or %unchosen",
    "open": "%unchosen.empty()",
}
RULES = {
    "R": ("run", "%fever and %rash"),
    "F": ("call", "%fever or %rash"),
    "O": ("call", "%open"),
    "H": ("rest", "%fired.empty()"),
}


def page(
    items: list[dict[str, Any]],
    facts: dict[str, str],
    rules: dict[str, tuple[str, str]],
    statements: Statements | None = None,
    vignettes: tuple[Vignette, ...] = (),
) -> Page:
    variables = [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/variable",
            "valueExpression": {"name": name, "language": "text/fhirpath", "expression": text},
        }
        for name, text in facts.items()
    ]
    questionnaire = {
        "resourceType": "Questionnaire",
        "id": "page",
        "url": f"{BASE}Questionnaire/page",
        "version": "1",
        "status": "active",
        "extension": variables,
        "item": items,
    }
    actions = [
        {
            "id": identity,
            "title": identity,
            "textEquivalent": identity,
            "code": [{"coding": [{"system": f"{BASE}level", "code": level}]}],
            "documentation": [{"type": "citation", "label": "policy", "citation": "A test"}],
            "condition": [{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": text}}],
        }
        for identity, (level, text) in rules.items()
    ]
    plan = {"resourceType": "PlanDefinition", "id": "plan", "url": f"{BASE}plan", "topic": [{}], "action": actions}
    concepts = [{"code": code, "property": [{"code": "order", "valueInteger": n}]} for n, code in enumerate(LEVELS)]
    levels = {"resourceType": "CodeSystem", "id": "level", "url": f"{BASE}level", "concept": concepts}
    pack = assemble_pack("page", (questionnaire, plan, levels))
    return Page(pack, vignettes, statements or Statements(UNSURE), "")


def failing(proof: Proof) -> dict[str, tuple[str, ...]]:
    return {theorem.statement: theorem.counterexamples for theorem in proof.theorems if not theorem.holds}


def test_a_sound_page_is_proved() -> None:
    proof = prove(page([SIGNS], SIGNS_FACTS, RULES))
    assert failing(proof) == {}
    # Unanswered, two exclusive options alone, and seven sets of three, alone and in conflict.
    assert (proof.groups, proof.cases, proof.inputs) == (1, 17, 17)
    assert proof.idle == ()


def test_a_rule_that_cannot_fire_is_named() -> None:
    broken = failing(prove(page([SIGNS], SIGNS_FACTS, {**RULES, "N": ("run", "%fever and %fever.not()")})))
    assert broken["Every rule can fire"] == ("N: no answers make it fire.",)


def test_a_response_without_level_is_shown() -> None:
    broken = failing(prove(page([SIGNS], SIGNS_FACTS, {one: RULES[one] for one in ("R", "F", "O")})))
    (shown,) = broken["Every input reaches exactly one level"]
    assert shown.endswith("gives no level (no rule).")


def test_a_lowest_level_beside_another_rule_is_shown() -> None:
    broken = failing(prove(page([SIGNS], SIGNS_FACTS, {**RULES, "H": ("rest", "%fever.not()")})))
    (shown,) = broken["The lowest level is reached only when no other rule fires"]
    assert "signs = rash" in shown
    assert "gives call" in shown


@pytest.mark.parametrize(
    ("fact", "shown"), [("%signs contains 'unsure'", "no answer"), ("%signs.empty()", "signs = unsure")]
)
def test_no_answer_that_is_taken_for_a_no_is_shown(fact: str, shown: str) -> None:
    facts = {**SIGNS_FACTS, "fever": "%signs contains 'fever'", "rash": "%signs contains 'rash'", "open": fact}
    broken = failing(prove(page([SIGNS], facts, RULES)))
    (found,) = broken["A question left open, or answered with 'not sure', never gives the lowest level"]
    assert shown in found
    assert found.endswith("gives rest (H).")


def test_a_warning_sign_that_lowers_the_level_is_shown() -> None:
    rules = {**RULES, "R": ("run", "%fever and %rash.not()")}
    (shown,) = failing(prove(page([SIGNS], SIGNS_FACTS, rules)))[
        "Adding an answer that is a warning sign never lowers the level"
    ]
    before, after = shown.split(" Then ")
    assert ("fever gives run" in before, "fever + rash gives call" in after) == (True, True)


def test_a_yes_that_lowers_the_level_is_shown() -> None:
    items = [SIGNS, question("calm", "yes no unsure", required=True)]
    facts = {
        **SIGNS_FACTS,
        "calmAnswer": f"{answer('calm')}.ofType(Coding).code",
        "calm": "%calmAnswer contains 'yes' or iif(%calmAnswer contains 'no', false, {})",
        "calmOpen": "%calm.empty()",
    }
    rules = {**RULES, "R": ("run", "%fever and %calm.not()"), "C": ("call", "%calm"), "Q": ("call", "%calmOpen")}
    broken = failing(prove(page(items, facts, rules)))
    (shown,) = broken["Adding an answer that is a warning sign never lowers the level"]
    assert "calm = no" in shown
    assert "calm = yes" in shown


WHEN = {"linkId": "since", "type": "date"}
WHEN_FACTS = {
    "since": f"{answer('since')}.ofType(date)",
    "over9Days": "iif(%since < %authoredDate - 9 days, true, iif(%since >= %authoredDate - 9 days, false, {}))",
    "sinceOpen": "%over9Days.empty()",
}
WHEN_RULES = {"W": ("call", "%over9Days or %sinceOpen"), "R": ("run", "%over9Days"), "H": ("rest", "%fired.empty()")}


def test_a_threshold_flips_where_it_is_stated() -> None:
    def faults(*thresholds: Threshold) -> tuple[str, ...]:
        proof = prove(page([WHEN], WHEN_FACTS, WHEN_RULES, Statements(thresholds=thresholds)))
        return failing(proof).get("Each threshold flips exactly where it is stated", ())

    assert faults(Threshold("over9Days", "since", "days", 9)) == ()
    (early,) = faults(Threshold("over9Days", "since", "days", 10))
    assert "10 days, but 'over9Days' is not false" in early
    (late,) = faults(Threshold("over9Days", "since", "days", 8))
    assert "9 days, but 'over9Days' is not true" in late
    (unstated,) = faults()
    assert "State its threshold" in unstated


@pytest.mark.parametrize(
    ("facts", "rules", "said"),
    [
        ({"a": "%resource.item.count() > 1"}, {"R": ("run", "%a")}, "reads %resource in a way that hides"),
        ({"a": "item.exists()"}, {"R": ("run", "%a")}, "without %resource"),
        ({"a": "today() > @2026"}, {"R": ("run", "%a")}, "calls today()"),
        ({"a": "%signs"}, {"R": ("run", "%a")}, "not true, false or empty"),
        ({}, {"R": ("run", "%fever = true")}, "no logic over facts"),
        ({}, {"R": ("run", "%fired.count() = 1")}, "no logic over facts"),
    ],
)
def test_what_the_proof_cannot_see_through_is_refused(
    facts: dict[str, str], rules: dict[str, tuple[str, str]], said: str
) -> None:
    with pytest.raises(Unprovable, match=said.replace("(", r"\(").replace(")", r"\)")):
        prove(page([SIGNS], {**SIGNS_FACTS, **facts}, {**RULES, **rules}))


def test_options_that_no_fact_names_are_tried_by_one_of_them() -> None:
    many = question("signs", "fever rash " + " ".join(f"other{n}" for n in range(30)) + " | none unsure", repeats=True)
    proof = prove(page([many], SIGNS_FACTS, RULES))
    assert (failing(proof), proof.cases) == ({}, 17)


def test_options_that_are_looked_into_are_all_tried() -> None:
    facts = {**SIGNS_FACTS, "itchy": "%signs.where(startsWith('i')).exists() or %unchosen"}
    proof = prove(page([SIGNS], facts, {**RULES, "I": ("call", "%itchy")}))
    assert failing(proof) == {}


def test_rules_about_rules_are_followed() -> None:
    rules = {
        **RULES,
        "N": ("call", "%notAssessed.exists()"),
        "S": ("call", "%fired.where(startsWith('R')).exists() and %fired contains 'F'"),
    }
    proof = prove(page([SIGNS], SIGNS_FACTS, rules))
    assert failing(proof) == {}
    assert proof.idle == ("O", "N", "S")


def vignette(name: str, signs: Any, level: str, *rules: str, not_assessed: tuple[str, ...] = ()) -> Vignette:
    answers = {} if signs is None else {"signs": signs}
    return Vignette(name, "A test", "2026-03-15T12:00:00Z", "completed", answers, level, rules, not_assessed, (), {})


VIGNETTES = (
    vignette("fever", "fever", "call", "F"),
    vignette("rash", "rash", "call", "F"),
    vignette("both", ["fever", "rash"], "run", "R", "F"),
    vignette("none", "none", "rest", "H"),
    vignette("unsure", "unsure", "call", "O", not_assessed=("R", "F")),
    vignette("conflict", ["none", "itch"], "call", "O", not_assessed=("R", "F")),
    vignette("nothing", None, "call", "O", not_assessed=("R", "F")),
)


def test_vignettes_and_proof_notice_every_slip() -> None:
    trials = list(try_mutants(page([SIGNS], SIGNS_FACTS, RULES, vignettes=VIGNETTES)))
    assert {"R: deleted", "R: level call", "F: and before %rash", "fever: without %unchosen"} <= {
        one.name for one in trials
    }
    assert [one for one in trials if one.fate is Fate.SURVIVED] == []


def test_a_vignette_that_is_missing_is_told_by_a_response() -> None:
    trials = list(try_mutants(page([SIGNS], SIGNS_FACTS, RULES, vignettes=VIGNETTES[:2])))
    survivors = {one.name: one.note for one in trials if one.fate is Fate.SURVIVED}
    assert "signs = fever + rash" in survivors["R: deleted"]


def test_what_makes_no_difference_is_stated() -> None:
    rules = {**RULES, "R": ("run", "%fever and %rash and (%fever or %rash)")}
    name = "R: without %fever or %rash"
    unstated = list(try_mutants(page([SIGNS], SIGNS_FACTS, rules, vignettes=VIGNETTES)))
    assert name in {one.name for one in unstated if one.fate is Fate.SURVIVED}
    stated = tuple(Equivalent(one.name, "It says the same twice.") for one in unstated if one.fate is Fate.SURVIVED)
    trials = list(try_mutants(page([SIGNS], SIGNS_FACTS, rules, Statements(UNSURE, (), stated), VIGNETTES)))
    assert {one.fate for one in trials if one.name == name} == {Fate.EQUIVALENT}
    assert Fate.SURVIVED not in {one.fate for one in trials}
    wrong = Statements(UNSURE, (), (Equivalent("R: deleted", "Nobody needs it."),))
    trials = list(try_mutants(page([SIGNS], SIGNS_FACTS, RULES, wrong, VIGNETTES)))
    assert [one.name for one in trials if one.fate is Fate.SURVIVED] == ["R: deleted"]


def test_statements_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    assert load_statements(tmp_path) == Statements()
    for text, said in (("[[threshold]", "cannot be read"), ('[[threshold]]\nfact = "a"\n', "Missing: 'question'")):
        (tmp_path / "proof.toml").write_text(text, encoding="utf-8")
        with pytest.raises(PackInvalid, match=said):
            load_statements(tmp_path)


PLACE = question("place", "calf thumb eyelid | unsure", repeats=True)
TOLD = ".repeat(item).where(linkId = 'place').answer.value.ofType(Coding).code"
LOOK_BACK_FACTS = {
    **SIGNS_FACTS,
    "place": f"{answer('place')}.ofType(Coding).code",
    "placeUnchosen": "iif(%place.exists() and (%place contains 'unsure').not(), false, {})",
    "placeOpen": "%placeUnchosen.empty()",
    "before": f"%previous.where(authored.toDate() < %authoredDate - 14 days){TOLD}.where($this != 'unsure')",
    "toldBefore": "%before.exists()",
    "samePlace": "%before.intersect(%place).exists()",
}
LOOK_BACK_RULES = {
    **RULES,
    "L": ("call", "%samePlace or (%toldBefore and %placeUnchosen)"),
    "O": ("call", "%open or %placeOpen or %notAssessed.exists()"),
}


def looking_back(facts: dict[str, str], rules: dict[str, tuple[str, str]], *vignettes: Vignette) -> Page:
    asked = [
        SIGNS,
        PLACE,
        question("more", "x", enableWhen=[{"question": "place", "operator": "exists", "answerBoolean": True}]),
    ]
    return page(asked, {**LOOK_BACK_FACTS, **facts}, {**LOOK_BACK_RULES, **rules}, vignettes=vignettes)


def test_facts_about_earlier_responses_go_with_every_answer() -> None:
    proof = prove(looking_back({}, {}))
    assert failing(proof) == {}
    # No place, not sure, one that no rule names, or both; and each fact about earlier responses is true or is not.
    assert (proof.groups, proof.inputs) == (4, 17 * 4 * 2 * 2)


def test_an_earlier_response_that_lowers_the_level_is_shown() -> None:
    lowered = "An earlier response never lowers the level"
    (shown,) = failing(prove(looking_back({}, {"N": ("run", "%toldBefore.not()")})))[lowered]
    assert "gives run (N" in shown
    assert "and earlier responses make toldBefore true gives" in shown
    assert lowered in failing(prove(looking_back({}, {"R": ("run", "%fever and %samePlace.not()")})))


@pytest.mark.parametrize(
    "fact",
    [
        "%previous.empty()",
        "%previous.exists().not()",
        "%previous.count() > 1",
        "%previous.first().item.exists()",
        "%previous.where($index = 0).exists()",
        "%previous.where(id in %place).exists()",
        "%previous.where(authored < now()).exists()",
        f"(%place | %previous{TOLD}).isDistinct()",
        f"%previous{TOLD}.intersect(%place.where($this != 'calf')).exists()",
        f"%previous{TOLD}.intersect({answer('more')}.ofType(Coding).code).exists()",
        "%previous",
    ],
)
def test_a_look_back_that_may_cease_to_be_true_is_refused(fact: str) -> None:
    with pytest.raises(Unprovable, match="'a' looks back at earlier responses, but may be no Boolean, or cease"):
        prove(looking_back({"a": fact}, {"A": ("call", "%a")}))


def test_a_fact_is_not_made_of_a_look_back_and_answers() -> None:
    with pytest.raises(Unprovable, match="'a' looks back"):
        prove(looking_back({"a": "%samePlace and %fever"}, {"A": ("call", "%a")}))


def told(name: str, days_before: int, rules: tuple[str, ...], place: str = "calf", now: str = "calf") -> Vignette:
    on = date(2026, 3, 15) - timedelta(days=days_before)
    level = "rest" if rules == ("H",) else "call"
    not_assessed = ("L",) if now == "unsure" and place != "unsure" else ()
    answers = {"signs": "none", "place": now}
    previous = (Previous(f"{on}T12:00:00Z", "completed", {"place": place}),)
    return Vignette(
        name, "A test", "2026-03-15T12:00:00Z", "completed", answers, level, rules, not_assessed, (), {}, previous
    )


LOOK_BACKS = (
    told("day 14", 14, ("H",)),
    told("day 15", 15, ("L",)),
    told("another place", 20, ("H",), "thumb"),
    told("place unsure", 20, ("O",), now="unsure"),
    told("never told", 20, ("O",), "unsure", now="unsure"),
)


def test_slips_in_what_looks_back_are_noticed_by_vignettes_alone() -> None:
    def survivors(*vignettes: Vignette) -> dict[str, str]:
        trials = try_mutants(looking_back({}, {}, *vignettes))
        return {one.name: one.note for one in trials if one.fate is Fate.SURVIVED and one.name[0] in "bL"}

    assert survivors(*LOOK_BACKS) == {}
    (name,) = survivors(*LOOK_BACKS[1:])
    assert name.startswith("before: 13")
    assert "show by a vignette" in survivors(*LOOK_BACKS[1:])[name]
