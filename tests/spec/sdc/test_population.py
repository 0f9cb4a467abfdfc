"""SDC STU4 population: launch contexts, queries, group contexts, first answers, defaults, Observations, origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from service.errors import TooLarge
from service.fhir.elements import extensions
from service.fhir.models import model_issues
from service.sdc.compilation import compile_questionnaire
from service.sdc.population import Given, Populated, populate
from service.sdc.population_plan import compile_population
from service.sdc.queries import DataUnavailable
from service.sdc.validation import validate
from service.sdc.vocabulary import ANSWER_SOURCE
from tests.spec.sdc.questionnaires import CORE, NOW, SDC, SYSTEM, choice, coding, expression, option, question, when

Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "birthDate": "1980-05-17",
    "name": [{"family": "Doe", "given": ["Jane", "Q"]}],
    "contact": [{"name": {"text": "Ann"}}, {"name": {"text": "Bob"}}],
}
SUBJECT = {"reference": "Patient/p1"}
LAUNCH = {
    "url": SDC + "launchContext",
    "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
}
QUERY = "application/x-fhir-query"


class Record:
    """A server that knows the answers to some queries, and remembers what was asked."""

    def __init__(self, answers: Mapping[str, Sequence[Json]] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[str] = []

    def search(self, query: str) -> Sequence[Json]:
        self.asked.append(query)
        for beginning, found in self.answers.items():
            if query.startswith(beginning):
                return found
        raise DataUnavailable("nobody knows.")


def initial(link_id: str, kind: str, text: str, **more: Any) -> Json:
    return question(link_id, kind, extension=[expression(SDC + "initialExpression", text)], **more)


def variable(name: str, text: str, language: str = "text/fhirpath") -> Json:
    return {"url": CORE + "variable", "valueExpression": {"name": name, "language": language, "expression": text}}


def context(name: str, text: str, language: str = "text/fhirpath") -> Json:
    source = {"name": name, "language": language, "expression": text}
    return {"url": SDC + "itemPopulationContext", "valueExpression": source}


def populated(
    *items: Json,
    root: Sequence[Json] = (),
    record: Record | None = None,
    named: Mapping[str, Sequence[Json]] | None = None,
    partial: Json | None = None,
    contained: Sequence[Json] = (),
    artifacts: Sequence[Json] = (),
) -> Populated:
    definition = {"resourceType": "Questionnaire", "url": "urn:q", "version": "1", "status": "active", "item": [*items]}
    definition["extension"] = [LAUNCH, *root]
    if contained:
        definition["contained"] = [*contained]
    compiled = compile_questionnaire(definition)
    assert compiled.issues == ()
    given = Given(SUBJECT, {"patient": [PATIENT]} if named is None else named, (), partial)
    found = populate(compiled, compile_population(compiled, artifacts), given, record or Record(), NOW)
    assert [issue for issue in validate(compiled, found.response, NOW) if issue.is_error] == []
    assert model_issues(found.response) == []
    return found


def answers(found: Populated, link_id: str = "q") -> list[Any]:
    return [next(iter(answer.values())) for node in nodes(found, link_id) for answer in node.get("answer", [])]


def nodes(found: Populated, link_id: str) -> list[Json]:
    def below(holder: Json) -> list[Json]:
        here = []
        for node in holder.get("item", []):
            here += [node] if node["linkId"] == link_id else []
            here += below(node)
            for answer in node.get("answer", []):
                here += below(answer)
        return here

    return below(found.response)


def origins(found: Populated, link_id: str = "q") -> list[str]:
    named = [extension for node in nodes(found, link_id) for extension in extensions(node, ANSWER_SOURCE)]
    return [one["valueReference"]["reference"] if "valueReference" in one else one["valueCanonical"] for one in named]


def details(found: Populated) -> list[tuple[str | None, str | None]]:
    assert all(issue.severity == "warning" for issue in found.issues)
    return [(issue.detail, issue.expression) for issue in found.issues]


# ---- the response


def test_every_item_stands_in_the_response_answered_or_not() -> None:
    found = populated(
        question("head", "display", text="Welcome"),
        question("g", "group", text="Group", item=[question("q", "string", text="Why?")]),
    )
    assert found.response == {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "urn:q|1",
        "status": "in-progress",
        "subject": SUBJECT,
        "authored": "2026-03-15T09:00:00.000Z",
        "item": [
            {"linkId": "head", "text": "Welcome"},
            {"linkId": "g", "text": "Group", "item": [{"linkId": "q", "text": "Why?"}]},
        ],
    }
    assert found.issues == ()


# ---- expressions, and what a question takes

OBS = "Observation"
UNIT = {"url": CORE + "questionnaire-unit", "valueCoding": {"system": "http://unitsofmeasure.org", "code": "kg"}}


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("string", "%patient.name.family", ["Doe"]),
        ("text", "%patient.name.given.first()", ["Jane"]),
        ("date", "%patient.birthDate", ["1980-05-17"]),
        ("date", "today()", ["2026-03-15"]),
        ("dateTime", "%patient.birthDate", ["1980-05-17"]),
        ("boolean", "%patient.name.exists()", [True]),
        ("boolean", "{}", []),
        ("integer", "%patient.contact.count()", [2]),
        ("decimal", "1.50", [Decimal("1.50")]),
        ("url", "'urn:a'", ["urn:a"]),
        ("reference", "%patient", [{"reference": "Patient/p1"}]),
        ("quantity", "4 'kg'", [{"value": 4, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}]),
    ],
)
def test_a_first_answer_has_the_type_of_its_question(kind: str, text: str, wanted: list[Any]) -> None:
    found = populated(initial("q", kind, text), root=[])
    assert (answers(found), found.issues) == (wanted, ())


@pytest.mark.parametrize(
    ("kind", "text"),
    [("integer", "'4'"), ("date", "now()"), ("boolean", "'true'"), ("string", "1"), ("reference", "'Patient/1'")],
)
def test_a_value_of_another_type_is_told_and_not_set(kind: str, text: str) -> None:
    found = populated(initial("q", kind, text), initial("other", "string", "%patient.name.family"))
    assert (answers(found), answers(found, "other")) == ([], ["Doe"])
    assert details(found) == [("not-populated", "Questionnaire.item[0]")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%qitem.answerOption.value.where(code = 'a')", ["a"]),
        ("'b'", ["b"]),
        ("'c'", []),
        ("%patient.gender", []),
    ],
)
def test_a_code_becomes_the_one_option_it_names(text: str, wanted: list[str]) -> None:
    found = populated(initial("q", "choice", text, answerOption=[option("a"), option("b")]))
    assert answers(found) == [coding(code) for code in wanted]
    assert details(found) == ([("not-populated", "Questionnaire.item[0]")] if text == "'c'" else [])


def test_a_code_of_two_options_is_none_of_them() -> None:
    options = [option("a"), {"valueCoding": {"system": "urn:other", "code": "a"}}]
    assert answers(populated(initial("q", "choice", "'a'", answerOption=options))) == []


def test_free_text_is_an_answer_to_an_open_choice_alone() -> None:
    open_choice = initial("q", "open-choice", "%patient.name.family", answerOption=[option("a")])
    assert answers(populated(open_choice)) == ["Doe"]


def test_what_a_form_shows_of_an_option_is_no_part_of_the_answer() -> None:
    shown = {"valueCoding": {**coding("a"), "_display": {"extension": [{"url": "urn:x", "valueString": "A!"}]}}}
    assert answers(populated(initial("q", "choice", "'a'", answerOption=[shown]))) == [coding("a")]


@pytest.mark.parametrize("equivalence", ["equivalent", "wider", "narrower", "unmatched"])
def test_a_concept_map_translates_into_an_option(equivalence: str) -> None:
    target = {"code": "a", "equivalence": equivalence}
    group = {"source": "urn:their", "target": SYSTEM, "element": [{"code": "x", "target": [target]}]}
    concept_map = {"resourceType": "ConceptMap", "status": "active", "group": [group]}
    record = Record({"Condition": [condition("c1", "x", "urn:their")]})
    item = initial("q", "choice", "%conditions.entry.resource.code", answerOption=[option("a")])
    found = populated(
        item, root=[variable("conditions", "Condition?subject=1", QUERY)], record=record, artifacts=[concept_map]
    )
    assert answers(found) == ([coding("a")] if equivalence in ("equivalent", "wider") else [])


def test_answers_beyond_a_limit_are_told_and_not_set() -> None:
    found = populated(initial("q", "string", "%patient.name.family", maxLength=2))
    assert (answers(found), details(found)) == ([], [("not-populated", "Questionnaire.item[0]")])


def test_several_values_for_one_answer_are_left_to_a_person() -> None:
    item = initial("q", "string", "%patient.name.given")
    assert details(populated(item)) == [("too-many-answers", "Questionnaire.item[0]")]
    assert answers(populated({**item, "repeats": True})) == ["Jane", "Q"]


def test_a_failing_expression_is_an_issue_with_its_place_and_the_rest_is_populated() -> None:
    found = populated(
        initial("q", "string", "%patient.name.given.single()"), initial("other", "string", "%patient.name.family")
    )
    assert (answers(found), answers(found, "other")) == ([], ["Doe"])
    assert details(found) == [("expression-failed", "Questionnaire.item[0]")]


def test_an_expression_that_cannot_be_compiled_is_an_issue_with_its_place() -> None:
    found = populated(initial("q", "string", "%nobody.name"), initial("other", "string", "'x'"))
    assert (answers(found), answers(found, "other")) == ([], ["x"])
    assert details(found) == [("questionnaire-unusable", "Questionnaire.item[0]")]


def test_a_first_answer_may_follow_from_one_before_it() -> None:
    later = initial("later", "string", "%resource.item.where(linkId = 'q').answer.value & '!'")
    assert answers(populated(initial("q", "string", "'a'"), later), "later") == ["a!"]


def test_variables_are_seen_below_their_item() -> None:
    inner = initial("q", "string", "%family & %given")
    group = question("g", "group", item=[inner], extension=[variable("given", "%patient.name.given.first()")])
    assert answers(populated(group, root=[variable("family", "%patient.name.family")])) == ["DoeJane"]


# ---- defaults


def test_defaults_are_answers_of_the_questionnaire_itself() -> None:
    found = populated(question("q", "integer", initial=[{"valueInteger": 3}]))
    assert (answers(found), origins(found)) == ([3], ["urn:q|1"])


def test_options_selected_at_first_are_answers() -> None:
    options = [option("a"), {**option("b"), "initialSelected": True}]
    assert answers(populated(question("q", "choice", answerOption=options))) == [coding("b")]


# ---- what is there already, and what is hidden


def test_an_answer_that_is_there_stays_and_the_others_are_filled() -> None:
    partial = {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "status": "in-progress",
        "item": [{"linkId": "g", "item": [{"linkId": "q", "answer": [{"valueString": "mine"}]}]}],
    }
    items = [initial("q", "string", "'theirs'"), initial("other", "string", "'filled'")]
    found = populated(question("g", "group", item=items), partial=partial)
    assert (answers(found), origins(found), answers(found, "other")) == (["mine"], [], ["filled"])
    assert found.response["id"] == "r1"
    assert partial["item"][0]["item"] == [{"linkId": "q", "answer": [{"valueString": "mine"}]}]


def test_a_question_that_the_answers_hide_has_none() -> None:
    hidden = initial("q", "string", "'x'", enableWhen=[when("first", "=", answerCoding=coding("a"))])
    for code, wanted in (("a", ["x"]), ("b", [])):
        found = populated(initial("first", "choice", f"'{code}'", answerOption=[option("a"), option("b")]), hidden)
        assert answers(found) == wanted
        assert len(nodes(found, "q")) == 1


# ---- queries


def condition(identity: str, code: str, system: str = SYSTEM) -> Json:
    return {
        "resourceType": "Condition",
        "id": identity,
        "subject": SUBJECT,
        "code": {"coding": [{"system": system, "code": code}], "text": code.upper()},
    }


def test_a_variable_is_the_bundle_that_its_query_finds() -> None:
    record = Record({"Condition?": [condition("c1", "a"), condition("c2", "b")]})
    found = populated(
        initial("q", "string", "%conditions.entry.resource.code.text", repeats=True),
        initial("n", "integer", "%conditions.total"),
        root=[variable("conditions", "Condition?patient={{%patient.id}}&code=urn:x|1", QUERY)],
        record=record,
    )
    assert (answers(found), answers(found, "n")) == (["A", "B"], [2])
    assert record.asked == ["Condition?patient=p1&code=urn:x%7C1"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a b", "a%20b"),
        ("a&_id=2", "a%26_id%3D2"),
        ("a,b$c|d\\e", "a%5C%2Cb%5C%24c%5C%7Cd%5C%5Ce"),
        ("+#é", "%2B%23%C3%A9"),
    ],
)
def test_a_value_never_becomes_part_of_the_query(name: str, wanted: str) -> None:
    record = Record({"Person": []})
    patient = {**PATIENT, "name": [{"family": name}]}
    root = [variable("x", "Person?name={{%patient.name.family}}&active=true", QUERY)]
    populated(question("q", "string"), root=root, record=record, named={"patient": [patient]})
    assert record.asked == [f"Person?name={wanted}&active=true"]


@pytest.mark.parametrize(
    "text",
    [
        "Condition?subject={{%patient.gender}}",
        "https://elsewhere.example/Condition?x=1",
        "Condition/$everything?x=1",
        "Condition/1/_history",
        "../Condition?x=1",
        "Nonsense?x=1",
        "Condition?subject={{%patient.name}}",
    ],
)
def test_a_query_that_says_too_little_or_leads_elsewhere_is_not_asked(text: str) -> None:
    record = Record({"": []})
    found = populated(initial("q", "string", "%x.total.toString()"), root=[variable("x", text, QUERY)], record=record)
    assert (record.asked, answers(found)) == ([], [])
    assert details(found) == [("expression-failed", "Questionnaire")]


def test_a_query_without_an_answer_is_an_issue_and_the_rest_is_populated() -> None:
    found = populated(
        initial("q", "boolean", "%x.entry.exists()"),
        initial("other", "string", "%patient.name.family"),
        root=[variable("x", "Condition?subject=1", QUERY)],
    )
    assert (answers(found), answers(found, "other")) == ([False], ["Doe"])
    assert details(found) == [("data-not-at-hand", "Questionnaire")]


def test_later_queries_see_what_earlier_ones_found_and_nothing_is_asked_twice() -> None:
    record = Record({"Condition?": [condition("c1", "a")], "Observation?": []})
    root = [
        variable("x", "Condition?subject=1", QUERY),
        variable("codes", "%x.entry.resource.code.coding.code"),
        variable("y", "Observation?code={{%codes}}", QUERY),
        variable("again", "Condition?subject=1", QUERY),
    ]
    populated(question("q", "string"), root=root, record=record)
    assert record.asked == ["Condition?subject=1", "Observation?code=a"]


def test_a_result_that_came_along_is_not_asked_for() -> None:
    record = Record()
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": condition("c1", "a")}]}
    found = populated(
        initial("q", "string", "%x.entry.resource.code.text"),
        root=[variable("x", "Condition?subject={{%patient.id}}", QUERY)],
        record=record,
        named={"patient": [PATIENT], "x": [bundle]},
    )
    assert (record.asked, answers(found), origins(found)) == ([], ["A"], ["Condition/c1"])


def test_source_queries_give_a_bundle_of_bundles_named_by_its_id() -> None:
    entries = [
        {"request": {"method": "GET", "url": f"{kind}?patient={{{{%patient.id}}}}"}} for kind in ("Condition", OBS)
    ]
    batch = {"resourceType": "Bundle", "id": "Batch", "type": "batch", "entry": entries}
    record = Record({"Condition?": [condition("c1", "a")], "Observation?": []})
    found = populated(
        initial("q", "string", "%Batch.entry[0].resource.entry.resource.code.text"),
        root=[{"url": SDC + "sourceQueries", "valueReference": {"reference": "#Batch"}}],
        contained=[batch],
        record=record,
    )
    assert record.asked == ["Condition?patient=p1", "Observation?patient=p1"]
    assert (answers(found), origins(found)) == (["A"], ["Condition/c1"])


def test_an_expression_may_be_a_query_for_a_reference() -> None:
    text = {"url": SDC + "initialExpression", "valueExpression": {"language": QUERY, "expression": "Encounter?x=1"}}
    record = Record({"Encounter": [{"resourceType": "Encounter", "id": "e1", "status": "planned"}]})
    found = populated(question("q", "reference", extension=[text]), record=record)
    assert (answers(found), origins(found)) == ([{"reference": "Encounter/e1"}], ["Encounter/e1"])


# ---- groups


def test_a_group_repeats_for_each_row_of_its_context() -> None:
    group = question(
        "g",
        "group",
        repeats=True,
        item=[initial("q", "string", "%one.name.text")],
        extension=[context("one", "%patient.contact")],
    )
    found = populated(group)
    assert [node["item"][0]["answer"][0]["valueString"] for node in nodes(found, "g")] == ["Ann", "Bob"]
    assert origins(found) == ["Patient/p1", "Patient/p1"]


def test_rows_of_a_query_are_resources_and_the_origin_of_their_answers() -> None:
    inner = initial("q", "string", "%one.code.text")
    group = question("g", "group", repeats=True, item=[inner], extension=[context("one", "Condition?subject=1", QUERY)])
    found = populated(group, record=Record({"Condition?": [condition("c1", "a"), condition("c2", "b")]}))
    assert (answers(found), origins(found)) == (["A", "B"], ["Condition/c1", "Condition/c2"])


def test_an_item_may_ask_about_its_row() -> None:
    inner = initial("q", "integer", "%found.total")
    extension = [context("one", "Condition?subject=1", QUERY), variable("found", f"{OBS}?focus={{{{%one.id}}}}", QUERY)]
    record = Record({"Condition?": [condition("c1", "a"), condition("c2", "b")], OBS: []})
    found = populated(question("g", "group", repeats=True, item=[inner], extension=extension), record=record)
    assert answers(found) == [0, 0]
    assert record.asked[1:] == [f"{OBS}?focus=c1", f"{OBS}?focus=c2"]


def test_without_a_row_the_group_stands_once_without_answers() -> None:
    group = question(
        "g", "group", repeats=True, item=[initial("q", "string", "%one.name.text")], extension=[context("one", "{}")]
    )
    found = populated(group)
    assert (len(nodes(found, "g")), answers(found), found.issues) == (1, [], ())


def test_a_group_that_does_not_repeat_has_the_first_row_and_an_issue() -> None:
    group = question(
        "g", "group", item=[initial("q", "string", "%one.name.text")], extension=[context("one", "%patient.contact")]
    )
    found = populated(group)
    assert (answers(found), details(found)) == (["Ann"], [("too-many-answers", "Questionnaire.item[0]")])


# ---- origins


def test_the_origin_is_the_resource_that_alone_gives_the_answer() -> None:
    record = Record({"Condition?": [condition("c1", "a"), condition("c2", "b"), condition("c3", "c")]})
    item = initial("q", "choice", "%x.entry.resource.code.coding.code.where($this in ('a' | 'c'))", repeats=True)
    found = populated(
        {**item, "answerOption": [option("a"), option("b"), option("c")]},
        root=[variable("x", "Condition?subject={{%patient.id}}", QUERY)],
        record=record,
    )
    assert (answers(found), origins(found)) == ([coding("a"), coding("c")], ["Condition/c1", "Condition/c3"])
    named = next(iter(extensions(nodes(found, "q")[0], ANSWER_SOURCE)))
    assert named["valueReference"] == {"reference": "Condition/c1", "type": "Condition", "display": "A"}


def test_an_answer_that_takes_all_of_them_has_all_of_them_as_origin() -> None:
    record = Record({"Condition?": [condition("c1", "a"), condition("c2", "b")]})
    found = populated(
        initial("q", "integer", "%x.entry.count()"), root=[variable("x", "Condition?subject=1", QUERY)], record=record
    )
    assert (answers(found), origins(found)) == ([2], ["Condition/c1", "Condition/c2"])


def test_an_answer_from_the_patient_says_so_and_one_from_nothing_names_the_questionnaire() -> None:
    assert origins(populated(initial("q", "date", "%patient.birthDate"))) == ["Patient/p1"]
    assert origins(populated(initial("q", "date", "today()"))) == ["urn:q|1"]


# ---- Observations


def observation(identity: str, when_taken: str | None, value: Any = 70, **more: Any) -> Json:
    held = {"value" + ("Integer" if isinstance(value, int) else "CodeableConcept"): value} if value is not None else {}
    taken = {} if when_taken is None else {"effectiveDateTime": when_taken}
    coded = {"coding": [{"system": "urn:loinc", "code": "w"}]}
    head = {"resourceType": OBS, "id": identity, "status": "final", "code": coded, "subject": SUBJECT}
    return {**head, **taken, **held, **more}


def linked(link_id: str = "q", kind: str = "integer", value: int = 1, unit: str = "mo", **more: Any) -> Json:
    duration = {"value": value, "system": "http://unitsofmeasure.org", "code": unit}
    period = {"url": SDC + "observationLinkPeriod", "valueDuration": duration}
    return question(link_id, kind, code=[{"system": "urn:loinc", "code": "w"}], extension=[period], **more)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([observation("o1", "2026-03-01"), observation("o2", "2026-03-10", 80)], "o2"),
        ([observation("o1", "2026-03-10T09:00:00+01:00"), observation("o2", "2026-03-10T08:30:00Z", 80)], "o2"),
        ([observation("o1", "2026-02-15T09:00:00Z")], "o1"),
        ([observation("o1", "2026-02-15T08:59:59Z")], None),
        ([observation("o1", None)], None),
        ([observation("o1", "2026-03-10", status="preliminary")], None),
        ([observation("o1", "2026-03-10", status="entered-in-error")], None),
        ([observation("o1", "2026-03-10", status="amended")], "o1"),
        ([observation("o1", "2026-03-10", status="corrected")], "o1"),
        ([observation("o1", "2026-03-10", None)], None),
        ([observation("o1", "2026-03-10", focus=[{"reference": "Patient/fetus"}])], None),
        ([observation("o1", "2026-03-10", focus=[SUBJECT])], "o1"),
        ([observation("o1", "2026-03-10", subject={"reference": "Patient/other"})], None),
        ([observation("o1", "2026-03-01"), observation("o2", "2026-03-10", {"text": "heavy"})], "o1"),
        ([observation("o1", "2026-03-10", code={"coding": [{"system": "urn:loinc", "code": "v"}]})], None),
    ],
)
def test_the_newest_usable_observation_answers(found: list[Json], wanted: str | None) -> None:
    given = populated(linked(), record=Record({OBS: found}))
    assert origins(given) == ([f"{OBS}/{wanted}"] if wanted else [])
    assert bool(answers(given)) == (wanted is not None)


def test_the_query_for_observations() -> None:
    record = Record({OBS: []})
    populated(linked(), record=record)
    assert record.asked == [
        f"{OBS}?subject=Patient%2Fp1&code=urn%3Aloinc%7Cw&status=final,amended,corrected&date=ge2026-02-15&_sort=-date"
    ]


@pytest.mark.parametrize(
    ("value", "unit", "start"),
    [(2, "h", "2026-03-15"), (1, "wk", "2026-03-08"), (10, "a", "2016-03-15"), (9999, "a", None)],
)
def test_link_periods(value: int, unit: str, start: str | None) -> None:
    record = Record({OBS: []})
    populated(linked(value=value, unit=unit), record=record)
    assert (f"date=ge{start}" in record.asked[0]) if start else ("date=" not in record.asked[0])


def test_a_period_holds_for_what_is_below_it_until_a_nearer_one() -> None:
    inner = [{**linked("q"), "extension": []}, linked("near", value=1, unit="d"), {**question("uncoded", "integer")}]
    outer = {**question("g", "group", item=inner), "extension": linked(value=1, unit="a")["extension"]}
    given = populated(outer, record=Record({OBS: [observation("o1", "2026-01-01")]}))
    assert (answers(given), answers(given, "near"), answers(given, "uncoded")) == ([70], [], [])


def test_questions_in_a_coded_group_are_answered_by_its_components() -> None:
    part = {"code": {"coding": [{"system": "urn:loinc", "code": "sys"}]}, "valueInteger": 120}
    panel = observation("panel", "2026-03-10", None, component=[part])
    group = {**linked("g", "group"), "item": [question("q", "integer", code=[{"system": "urn:loinc", "code": "sys"}])]}
    given = populated(group, record=Record({f"{OBS}?subject=Patient%2Fp1&code=urn%3Aloinc%7Cw": [panel]}))
    assert (answers(given), origins(given)) == ([120], [f"{OBS}/panel"])


def test_a_coded_value_becomes_an_option() -> None:
    concept = {"coding": [{"system": "urn:x", "code": "y"}, coding("b")]}
    item = linked(kind="choice", answerOption=choice("x", "a", "b")["answerOption"])
    given = populated(item, record=Record({OBS: [observation("o1", "2026-03-10", concept)]}))
    assert answers(given) == [coding("b")]


@pytest.mark.parametrize(
    ("quantity", "wanted"),
    [
        ({"value": 70, "system": "http://unitsofmeasure.org", "code": "kg"}, [70]),
        ({"value": 70, "system": "http://unitsofmeasure.org", "code": "g"}, []),
        ({"value": 70, "comparator": "<", "system": "http://unitsofmeasure.org", "code": "kg"}, []),
        ({"value": Decimal("70.5"), "system": "http://unitsofmeasure.org", "code": "kg"}, []),
    ],
)
def test_a_quantity_answers_a_number_in_its_own_unit(quantity: Json, wanted: list[int]) -> None:
    item = linked()
    found = observation("o1", "2026-03-10", None, valueQuantity=quantity)
    given = populated({**item, "extension": [*item["extension"], UNIT]}, record=Record({OBS: [found]}))
    assert answers(given) == wanted


# ---- hostile Questionnaires


def test_repetitions_within_repetitions_are_bounded() -> None:
    def nested(depth: int) -> Json:
        items = [nested(depth - 1)] if depth else [question("q", "string")]
        rows = context(
            f"row{depth}", "'a'.combine('b').combine('c').combine('d') | (1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9)"
        )
        return question(f"g{depth}", "group", repeats=True, item=items, extension=[rows])

    with pytest.raises(TooLarge):
        populated(nested(4))


@pytest.mark.parametrize("name", ["initialExpression", "itemPopulationContext", "observationLinkPeriod"])
def test_an_extension_of_another_type_populates_nothing(name: str) -> None:
    found = populated(question("q", "string", extension=[{"url": SDC + name, "valueString": "x"}]))
    assert answers(found) == []
