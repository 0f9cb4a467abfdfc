"""What `pack check` finds beyond the gate: each seeded fault is named by file, element and advice."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.adapters.git import folder_at
from service.errors import NotFound
from service.fhir.translation import TRANSLATION
from service.packs import Pack, load_pack
from service.packs.loader import review
from tests.translating import add_translation, translate
from tests.unit.packs.spoiling import PAGE, SDC, Edit, action, edit, question, template, variable

EXPRESSION = {"language": "text/fhirpath", "expression": "true"}
CORE = "http://hl7.org/fhir/StructureDefinition/"


def found(page: Path, **published: Any) -> list[tuple[str, str]]:
    return [(issue.expression or "", issue.text) for issue in review(page, **published)]


def test_the_shipped_page_has_no_finding(page: Path) -> None:
    assert found(page) == []


QUESTIONNAIRE_FAULTS: dict[str, tuple[Edit, str, str]] = {
    "a rule variable on an option": (
        lambda q: question(q, "side")["answerOption"][0].update(extension=[{"url": CORE + "variable"}]),
        "item[2].item[1].answerOption[0].extension[0]",
        "It belongs on Questionnaire or an item",
    ),
    "an exclusive mark on a question": (
        lambda q: question(q, "side")["extension"].append(
            {"url": CORE + "questionnaire-optionExclusive", "valueBoolean": True}
        ),
        "item[2].item[1].extension[3]",
        "It belongs on an answerOption",
    ),
    "an enableWhenExpression on the root": (
        lambda q: q["extension"].append({"url": SDC + "enableWhenExpression", "valueExpression": EXPRESSION}),
        "Questionnaire.extension[125]",
        "It belongs on an item",
    ),
    "a fact that waits for a code that is no option": (
        lambda q: variable(q, "atrophy").update(expression="%symptomsAnswer contains '88092001' or %symptomsUnchosen"),
        "variable atrophy",
        "No option of 'symptoms' has the code '88092001'",
    ),
    "a condition that waits for a code that is no option": (
        lambda q: next(one for one in question(q, "eyes-forced-shut")["extension"] if "enableWhen" in one["url"])[
            "valueExpression"
        ].update(
            expression="%resource.repeat(item).where(linkId = 'muscles').answer.value.ofType(Coding)"
            ".where(code = '80243004').exists()"
        ),
        "item[2].item[3]",
        "No option of 'muscles' has the code '80243004'",
    ),
    "an exclusive conflict of no item": (
        lambda q: variable(q, "dietUnchosen").update(
            expression="iif(%dietAnswer.exists() and (%exclusiveConflicts contains 'diets').not(), false, {})"
        ),
        "variable dietUnchosen",
        "'diets' is compared with linkIds",
    ),
    "a value set that is not there": (
        lambda q: variable(q, "rigidity").update(
            expression="%resource.repeat(item).where(linkId = 'symptoms').answer.value.ofType(Coding)"
            ".where(memberOf('https://symptom-intake.example/fhir/ValueSet/none')).exists()"
        ),
        "variable rigidity",
        "value set 'https://symptom-intake.example/fhir/ValueSet/none' is not in the page",
    ),
    "a map that is not there": (
        lambda q: variable(q, "diagnosesIcd10").update(
            expression="'https://symptom-intake.example/fhir/ConceptMap/none'.resolve().select('x')"
        ),
        "variable diagnosesIcd10",
        "no resource 'https://symptom-intake.example/fhir/ConceptMap/none'",
    ),
    "a fact that nobody reads": (
        lambda q: q["extension"].append(
            {
                "url": CORE + "variable",
                "valueExpression": {"name": "idle", **EXPRESSION},
            }
        ),
        "variable idle",
        "reads 'idle'",
    ),
    "a question that nothing shows": (
        lambda q: question(q, "weakness-effects").update(
            enableBehavior="all",
            enableWhen=[
                {**question(q, "weakness-effects")["enableWhen"][0], "answerCoding": one["answerCoding"]}
                for one in question(q, "weakness-effects")["enableWhen"][:2]
            ],
        ),
        "item[3].item[1]",
        "nobody can answer it",
    ),
    "an option that stands twice": (
        lambda q: question(q, "side")["answerOption"].append(question(q, "side")["answerOption"][0]),
        "item[2].item[1].answerOption[3]",
        "this option twice",
    ),
    "a required question that nobody can be unsure about": (
        lambda q: question(q, "frequency")["answerOption"].pop(),
        "item[1].item[3]",
        "no option says 'not sure'",
    ),
    "a display that differs from the value set": (
        lambda q: question(q, "muscles")["answerOption"][0]["valueCoding"].update(display="Lid"),
        "item[2].item[0].answerOption[0].valueCoding.display",
        "is called 'Lid' here",
    ),
    "a local code that the CodeSystem lacks": (
        lambda q: question(q, "danger-signs")["code"][0].update(code="dangers"),
        "item[0].item[0].code[0]",
        "no concept 'dangers'",
    ),
    "a template with another display": (
        lambda q: template(q, "condition-fasciculation")["code"]["coding"][0].update(display="Twitch"),
        "display",
        "'Twitch'",
    ),
    "a code system without a licence note": (
        lambda q: question(q, "side")["answerOption"][0]["valueCoding"].update(system="urn:oid:1.2.3"),
        "README.md",
        "Codes of urn:oid:1.2.3 are used",
    ),
    "a copyright that forgets a code system": (
        lambda q: q.update(copyright="Symptom Intake, Apache License 2.0."),
        "Questionnaire.copyright",
        "Name SNOMED CT",
    ),
}


@pytest.mark.parametrize("name", QUESTIONNAIRE_FAULTS)
def test_a_fault_of_the_questionnaire(page: Path, name: str) -> None:
    change, place, said = QUESTIONNAIRE_FAULTS[name]
    edit(page / "questionnaire.json", change)
    issues = found(page)
    assert any(place in where and said in text for where, text in issues), issues
    assert all(where.startswith(str(page)) for where, _ in issues)


PLAN_FAULTS: dict[str, tuple[Edit, str, str]] = {
    "a source without a label": (
        lambda plan: action(plan, "U3")["documentation"][0].pop("label"),
        "action[2].documentation[0].label",
        "Say whose it is: page, guidance, policy",
    ),
    "a source with a label of its own": (
        lambda plan: action(plan, "U3")["documentation"][0].update(label="expert"),
        "action[2].documentation[0].label",
        "'expert'",
    ),
    "a source without a citation": (
        lambda plan: action(plan, "U3")["documentation"][0].pop("citation"),
        "action[2].documentation[0].citation",
        "without citation",
    ),
    "no disclaimer": (lambda plan: plan.pop("usage"), "PlanDefinition.usage", "what its result is not"),
    "a rule about a rule that is none": (
        lambda plan: action(plan, "H1")["condition"][0]["expression"].update(
            expression="%fired.empty() and (%notAssessed contains 'U99').not()"
        ),
        "action[30].condition[0]",
        "'U99' is compared with rule ids",
    ),
}


@pytest.mark.parametrize("name", PLAN_FAULTS)
def test_a_fault_of_the_plan(page: Path, name: str) -> None:
    change, place, said = PLAN_FAULTS[name]
    edit(page / "red-flags.json", change)
    issues = found(page)
    assert any("red-flags.json: PlanDefinition" in where and place in where and said in text for where, text in issues)


LEVEL_FAULTS: dict[str, tuple[Edit, str]] = {
    "two levels of one rank": (lambda c: c["concept"][1]["property"][0].update(valueInteger=1), "the same order"),
    "a count of other concepts than there are": (lambda c: c.update(count=3), "It has 4 concepts, but says 3"),
    "a level without interpretation": (lambda c: c["concept"][2]["property"].pop(), "no interpretation"),
}


@pytest.mark.parametrize("name", LEVEL_FAULTS)
def test_a_fault_of_the_levels(page: Path, name: str) -> None:
    change, said = LEVEL_FAULTS[name]
    edit(page / "triage-level.json", change)
    assert any(said in text for _, text in found(page))


VIGNETTE_FAULTS: dict[str, tuple[str, str, str]] = {
    "a rule that is never shown firing": ('"C6"', '"C5"', "'C6' present"),
    "a rule that is never shown not assessed": ('"P8"', '"P7"', "'P8' not-assessed"),
    "a threshold shown on one side": ('"2025-12-14"', '"2025-12-13"', "at 91 days"),
    "a name that stands twice": ("case-03-thumb-five-weeks", "case-01-eyelid-and-stress", "Two vignettes"),
}


@pytest.mark.parametrize("name", VIGNETTE_FAULTS)
def test_what_the_vignettes_do_not_show(page: Path, name: str) -> None:
    before, after, said = VIGNETTE_FAULTS[name]
    file = page / "vignettes.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    assert any(where == f"{file}: vignettes.toml" and said in text for where, text in found(page))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('fact = "noticedOver14Days"', 'fact = "noticedLongAgo"', "no fact 'noticedLongAgo'"),
        ('question = "muscles"', 'question = "side"', "does not rest on 'side'"),
        ("days = 90", "days = 95", "at 96 days"),
    ],
)
def test_a_threshold_is_one_of_the_pages(page: Path, before: str, after: str, said: str) -> None:
    file = page / "proof.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    assert any(said in text for _, text in found(page))


def test_a_change_of_meaning_takes_a_new_version(page: Path, tmp_path: Path) -> None:
    published = load_pack(Path(shutil.copytree(page, tmp_path / "published" / PAGE)))
    assert found(page, published=published) == []

    edit(page / "red-flags.json", lambda plan: plan.update(description="Said otherwise.", date="2027-01-01"))
    assert found(page, published=published) == []

    edit(page / "red-flags.json", lambda plan: action(plan, "P1").update(textEquivalent="Wait."))
    ((where, text),) = found(page, published=published)
    assert where == f"{page / 'red-flags.json'}: PlanDefinition/muscle-fasciculation-red-flags.version"
    assert "action[10].textEquivalent" in text
    assert "Raise the version" in text

    edit(page / "red-flags.json", lambda plan: plan.update(version="1.0.1"))
    assert [text for where, text in found(page, published=published) if "textEquivalent" in text] == []


def changes(page: Path, published: Pack) -> list[str]:
    return [text for _, text in found(page, published=published) if "is published" in text]


def translation(element: dict[str, Any], name: str) -> dict[str, Any]:
    """The part of the Spanish translation of a text that holds its words."""
    found: dict[str, Any] = next(
        part
        for extension in element[f"_{name}"]["extension"]
        if extension["url"] == TRANSLATION
        for part in extension["extension"]
        if part["url"] == "content"
    )
    return found


def test_a_changed_translation_takes_a_new_version_and_one_more_language_none(page: Path, tmp_path: Path) -> None:
    published = load_pack(Path(shutil.copytree(page, tmp_path / "published" / PAGE)))
    edit(page / "red-flags.json", lambda plan: translate(plan, "fr"))
    assert changes(page, published) == []

    edit(
        page / "red-flags.json",
        lambda plan: translation(action(plan, "P1"), "textEquivalent").update(valueString="Espere."),
    )
    (text,) = changes(page, published)
    assert "action[10].textEquivalent (es)" in text


TRANSLATION_FAULTS: dict[str, tuple[Edit, str, str]] = {
    "a sentence that lacks a language of the page": (
        lambda plan: action(plan, "P1").pop("_textEquivalent"),
        "action[10].textEquivalent",
        "no translation to 'es'",
    ),
    "a number that is another one in a translation": (
        lambda plan: translation(action(plan, "C1"), "textEquivalent").update(valueString="Dura más de 3 semanas."),
        "action[20].textEquivalent",
        "other numbers",
    ),
    "a translation that says nothing": (
        lambda plan: action(plan, "P1")["_textEquivalent"]["extension"][0]["extension"].pop(),
        "action[10]._textEquivalent",
        "says nothing",
    ),
    "two translations to one language": (
        lambda plan: add_translation(action(plan, "P1"), "textEquivalent", "Otra vez."),
        "action[10]._textEquivalent",
        "2 translations to 'es'",
    ),
    "a language that is none": (
        lambda plan: add_translation(action(plan, "P1"), "title", "Otra vez.", "spanish"),
        "action[10]._title",
        "'spanish' is no language",
    ),
}


@pytest.mark.parametrize("fault", TRANSLATION_FAULTS)
def test_a_fault_of_a_translation(page: Path, fault: str) -> None:
    change, where, said = TRANSLATION_FAULTS[fault]
    edit(page / "red-flags.json", change)
    assert any(place.endswith(where) and said in text for place, text in found(page)), found(page)


def test_a_page_is_compared_with_a_git_revision(page: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", page.parent, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-q", "-m", "first")
    edit(page / "red-flags.json", lambda plan: action(plan, "P1").update(textEquivalent="Wait."))
    with folder_at(page, "HEAD") as copy:
        assert copy is not None
        assert any("textEquivalent" in text for _, text in found(page, published=load_pack(copy)))
    with pytest.raises(NotFound, match="no revision 'v9'"), folder_at(page, "v9"):
        pass
    new = Path(shutil.copytree(page, page.parent / "new"))
    with folder_at(new, "HEAD") as copy:
        assert copy is None
