"""Loading is a gate: a page with a fault is refused, and the fault is named by file and element."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from service.errors import DomainError
from service.packs import PackInvalid, load_pack, load_packs
from service.packs.vignettes import load_vignettes, run_vignette, vignette_response
from tests.unit.packs.spoiling import PAGE, SDC, Edit, edit, question, template, variable


def faults(page: Path) -> list[tuple[str, str]]:
    with pytest.raises(PackInvalid) as refusal:
        load_pack(page)
    return [(issue.expression or "", issue.text) for issue in refusal.value.issues]


def test_the_copy_as_it_is_loads(page: Path) -> None:
    assert load_pack(page).canonical.endswith("/Questionnaire/muscle-fasciculation|1.1.0")
    assert [pack.name for pack in load_packs(page.parent)] == [PAGE]
    assert [pack.name for pack in load_packs(page)] == [PAGE]


QUESTIONNAIRE_FAULTS: list[tuple[Edit, str, str]] = [
    (lambda q: q.update(id="other"), "Questionnaire.id", "folder"),
    (lambda q: q.pop("version"), "Questionnaire", "version"),
    (
        lambda q: question(q, "side").update(modifierExtension=[{"url": "urn:opposite", "valueBoolean": True}]),
        "Questionnaire.item[2].item[1].modifierExtension[0]",
        "not supported",
    ),
    (lambda q: q.update(version="1.0|2"), "Questionnaire.version", "holds no '|'"),
    (lambda q: q.update(status="bogus"), "Questionnaire.status", "draft, active"),
    (lambda q: q.update(status="bogus-status", item="x"), "Questionnaire", ""),
    (lambda q: variable(q, "atrophy").update(expression="%symptomsAnswer contains"), "Questionnaire", "atrophy"),
    (lambda q: variable(q, "atrophy").update(expression="%symptomAnswer.exists()"), "Questionnaire", "symptomAnswer"),
    (lambda q: variable(q, "atrophy").update(expression="%resource.itm.exists()"), "Questionnaire", "itm"),
    (lambda q: variable(q, "atrophy").update(expression="exist()"), "Questionnaire", "exist"),
    (
        lambda q: variable(q, "atrophy").update(expression="%resource.item.where(linkId = 'symptom').exists()"),
        "variable atrophy",
        "'symptom', which is no item",
    ),
    (
        lambda q: question(q, "side")["extension"].append({"url": SDC + "answerExpression", "valueString": "x"}),
        "Questionnaire.item[2].item[1].extension",
        "not supported",
    ),
    (
        lambda q: question(q, "weakness-effects")["enableWhen"][0]["answerCoding"].update(code="gradually"),
        "enableWhen[0].answerCoding",
        "no option 'gradually'",
    ),
    (
        lambda q: question(q, "side")["extension"].append(
            {
                "url": "http://hl7.org/fhir/StructureDefinition/questionnaire-constraint",
                "extension": [
                    {"url": "key", "valueId": "side-1"},
                    {"url": "severity", "valueCode": "warning"},
                    {"url": "human", "valueString": "A side."},
                    {"url": "expression", "valueString": "answer.value >"},
                ],
            }
        ),
        "Questionnaire.item[2].item[1]",
        "cannot be compiled",
    ),
    (lambda q: question(q, "side").update(linkId="muscles"), "Questionnaire.item[2].item[1]", "stands twice"),
    (lambda q: question(q, "side").update(type="choices"), "Questionnaire.item[2].item[1]", "no item type"),
    (lambda q: question(q, "side").pop("linkId"), "Questionnaire", ""),
    (
        lambda q: template(q, "observation-side").update(status="bogus"),
        "contained (observation-side)",
        "'bogus' is no status of Observation. Use one of registered, preliminary",
    ),
    (lambda q: template(q, "condition-fasciculation").pop("subject"), "contained[41].subject", "required"),
    (
        lambda q: template(q, "condition-fasciculation").pop("clinicalStatus"),
        "contained (condition-fasciculation)",
        "con-3",
    ),
]


@pytest.mark.parametrize(("change", "place", "said"), QUESTIONNAIRE_FAULTS)
def test_a_fault_in_the_questionnaire_is_named(page: Path, change: Edit, place: str, said: str) -> None:
    edit(page / "questionnaire.json", change)
    found = faults(page)
    assert any("questionnaire.json: " in where and place in where and said in text for where, text in found), found


def test_a_file_that_is_no_resource_is_named(page: Path) -> None:
    (page / "stray.json").write_text("{}", encoding="utf-8")
    assert all("stray.json: " in where for where, _ in faults(page))


def test_a_link_id_in_a_template_is_one_of_the_pages(page: Path) -> None:
    def change(questionnaire: dict[str, Any]) -> None:
        text = "item.where(linkId = 'no-such-item').answer.value.exists()"
        context = {"url": SDC + "templateExtractContext", "valueString": text}
        template(questionnaire, "condition-fasciculation")["note"] = [{"extension": [context], "text": "x"}]

    edit(page / "questionnaire.json", change)
    assert any("note[0]" in where and "no-such-item" in text for where, text in faults(page))


def test_a_page_creates_resources_and_nothing_else(page: Path) -> None:
    def change(questionnaire: dict[str, Any]) -> None:
        use = next(one for one in questionnaire["extension"] if one["url"] == SDC + "templateExtract")
        use["extension"].append({"url": "resourceId", "valueString": "'fixed'"})

    edit(page / "questionnaire.json", change)
    ((where, text),) = faults(page)
    assert "contained (condition-fasciculation)" in where
    assert "resourceId" in text


PLAN_FAULTS: list[tuple[Edit, str]] = [
    (lambda plan: plan["action"][0].pop("title"), "title"),
    (lambda plan: plan["action"][0].pop("documentation"), "no source"),
    (lambda plan: plan["action"][1].update(id=plan["action"][0]["id"]), "stands twice"),
    (lambda plan: plan["action"][0]["condition"][0]["expression"].update(expression="%noFact"), "noFact"),
    (lambda plan: plan["action"][0]["code"][0]["coding"][0].update(code="critical"), "level"),
    (lambda plan: plan.pop("topic"), "topic"),
    (lambda plan: plan["action"][0].pop("priority"), "needs a priority"),
    (lambda plan: plan["action"][0].update(priority="soon"), "no priority"),
    (lambda plan: plan["action"][0].update(priority="routine"), "do not go with their levels"),
    (lambda plan: plan["action"][-1].update(priority="stat"), "do not go with their levels"),
    (lambda plan: plan["contained"][-1]["action"][0]["trigger"][0].update(name="order-sign"), "patient-view"),
    (lambda plan: summary(plan)["section"][0].pop("title"), "needs a title"),
    (
        lambda plan: summary(plan)["section"][0]["entry"][0]["identifier"].update(value="onset"),
        "'onset' is no question",
    ),
    (lambda plan: summary(plan)["section"][0]["entry"].pop(), "shows 'frequency' 0 times"),
    (lambda plan: summary(plan)["section"].append(summary(plan)["section"][0]), "shows 'frequency' 2 times"),
    (lambda plan: summary(plan)["section"][1]["entry"][-1].update(reference="urn:x"), "no ConceptMap of the page"),
    (lambda plan: moved(plan, 1, -1, 0), "maps no answer of this section"),
    (lambda plan: plan["contained"].append({**summary(plan), "id": "another"}), "A page has one Composition"),
]


def summary(plan: dict[str, Any]) -> dict[str, Any]:
    """The layout of the clinician's summary."""
    found: dict[str, Any] = next(one for one in plan["contained"] if one["resourceType"] == "Composition")
    return found


def moved(plan: dict[str, Any], section: int, entry: int, to: int) -> None:
    sections = summary(plan)["section"]
    sections[to]["entry"].append(sections[section]["entry"].pop(entry))


@pytest.mark.parametrize(("change", "said"), PLAN_FAULTS)
def test_a_fault_in_the_red_flags_is_named(page: Path, change: Edit, said: str) -> None:
    edit(page / "red-flags.json", change)
    assert any("red-flags.json: PlanDefinition" in where and said in text for where, text in faults(page))


def test_a_place_that_the_body_picture_lacks_is_named(page: Path) -> None:
    def change(body: dict[str, Any]) -> None:
        body["group"][0]["element"][0]["target"][0]["code"] = "knee-left"

    edit(page / "concept-map-body.json", change)
    ((_, text),) = faults(page)
    assert "has no knee-left. It has arm-left, arm-right" in text


def test_a_page_that_says_nothing_of_its_summary_shows_its_groups(page: Path) -> None:
    def change(plan: dict[str, Any]) -> None:
        plan["contained"].remove(summary(plan))
        plan["relatedArtifact"] = [one for one in plan["relatedArtifact"] if one["resource"] != "#summary"]

    edit(page / "red-flags.json", change)
    sections = load_pack(page).layout.sections
    assert [section.title for section in sections][:2] == ["Danger signs", "When it happens"]
    assert [line.item.link_id for line in sections[0].lines] == ["danger-signs"]


def test_a_page_without_red_flags_or_with_two_questionnaires_is_refused(page: Path) -> None:
    shutil.copy(page / "questionnaire.json", page / "second.json")
    assert "exactly one Questionnaire" in faults(page)[0][1]
    (page / "second.json").unlink()
    (page / "red-flags.json").unlink()
    assert "exactly one PlanDefinition" in faults(page)[0][1]


def test_a_file_that_is_no_json_is_named(page: Path) -> None:
    (page / "code-system.json").write_text("{", encoding="utf-8")
    ((where, text),) = faults(page)
    assert where.endswith("code-system.json")
    assert "not JSON" in text


def test_a_folder_without_a_page_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackInvalid, match="no page"):
        load_packs(tmp_path)


VIGNETTE = 'name = "one"\nsource = "test"\nauthored = "2026-03-15T10:00:00Z"\nlevel = "routine"\nrules = ["C9"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[vignette]\n", "cannot be read"),
        (f'[[vignette]]\n{VIGNETTE}colour = "red"\n', "unknown keys: colour"),
        (f'[[vignette]]\n{VIGNETTE}base = "none"\n', "base 'none'"),
        ('[[vignette]]\nname = "one"\n', "the vignette one lacks level, rules, source"),
        (f"[[vignette]]\n{VIGNETTE}".replace('["C9"]', '"C9"'), "the vignette one needs lists: rules"),
        (f"[[vignette]]\n{VIGNETTE}".replace("2026-03-15T10:00:00Z", "yesterday"), "is authored 'yesterday'"),
        (f'[[vignette]]\n{VIGNETTE}answers = {{ colour = "red" }}\n', "colour, which the page does not ask"),
    ],
)
def test_vignettes_that_cannot_be_read_are_refused(page: Path, text: str, said: str) -> None:
    (page / "vignettes.toml").write_text(text, encoding="utf-8")
    pack = load_pack(page)
    with pytest.raises(DomainError, match=said):
        _ = [vignette_response(pack, vignette) for vignette in load_vignettes(page)]


def test_a_vignette_that_expects_otherwise_says_what_it_found(page: Path) -> None:
    wrong = VIGNETTE.replace("routine", "urgent").replace("C9", "U1")
    (page / "vignettes.toml").write_text(f"[[vignette]]\n{wrong}issues = []\n", encoding="utf-8")
    (vignette,) = load_vignettes(page)
    lines = run_vignette(load_pack(page), vignette)
    assert lines[0] == "level: expected urgent, found routine"
    assert lines[1] == "rules: expected ['U1'], found ['C9']"
    assert any(line.startswith("not assessed: expected []") for line in lines)
    assert any(line.startswith("issues: expected []") for line in lines)
