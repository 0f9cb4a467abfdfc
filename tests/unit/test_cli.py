"""Commands: what they print, and their exit codes."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.cli.console import table
from service.config import PREFIX
from service.packs import Pack, load_packs, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response

PAGE = "muscle-fasciculation"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def page() -> Pack:
    return load_packs(shipped_pages() / PAGE)[0]


@pytest.fixture
def response(page: Pack) -> dict[str, Any]:
    """Worked case 8: urgent."""
    case = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith("case-08"))
    return vignette_response(page, case)


def _run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def _file(folder: Path, content: Any) -> Path:
    file = folder / "input.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_validate_accepts_a_valid_response(tmp_path: Path, response: dict[str, Any]) -> None:
    result = _run("validate", _file(tmp_path, response))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["resourceType"] == "OperationOutcome"


def test_validate_reads_standard_input_and_tells_faults(response: dict[str, Any]) -> None:
    result = _run("validate", "-", stdin=json.dumps({**response, "status": "bogus"}))
    assert result.exit_code == 1
    (issue,) = json.loads(result.stdout)["issue"]
    assert issue["expression"] == ["QuestionnaireResponse.status"]


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"a":1,"a":2}'])
@pytest.mark.parametrize("command", ["validate", "assess", "extract"])
def test_a_file_that_is_no_resource_is_the_inputs_fault(tmp_path: Path, command: str, content: str) -> None:
    result = _run(command, _file(tmp_path, content))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["issue"][0]["severity"] == "error"


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "missing.json"],
        ["assess", "missing.json"],
        ["extract"],
        ["validate", "-", "--questionnaire", "missing.json"],
        ["fhirpath", "status"],
        ["pack", "check", "missing"],
        ["pack", "test", "missing"],
        ["pack", "prove", "missing"],
        ["pack", "new"],
        ["outbox", "retry"],
        ["outbox", "list", "--state", "lost"],
        ["serve", "--port", "70000"],
        ["serve", "--host", "0.0.0.0"],
        ["deliver"],
        ["doctor", "http://fhir.example.org"],
        ["doctor", "fhir.example.org"],
        ["unknown"],
    ],
)
def test_usage_faults_end_with_2_and_a_sentence(arguments: list[str]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr or "Usage: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AUTH", "smart", "AUTH_ISSUER: AUTH=smart needs"),
        ("SECRET_KEY", "short", "SECRET_KEY: a key is 32 bytes"),
        (
            "DATABASE_URL",
            "sqlite:////proc/intake/intake.db",
            "DATABASE_URL: /proc/intake: No such file or directory; name",
        ),
    ],
)
def test_a_wrong_setting_ends_with_2_and_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SYMPTOM_INTAKE_{variable}", value)
    result = _run("serve")
    assert result.exit_code == 2
    assert f"Error: SYMPTOM_INTAKE_{said}" in result.stderr


def test_assess_prints_the_triage(tmp_path: Path, response: dict[str, Any]) -> None:
    questionnaire = shipped_pages() / PAGE / "questionnaire.json"
    for options in ([], ["--questionnaire", questionnaire]):
        result = _run("assess", _file(tmp_path, response), *options)
        assert result.exit_code == 0
        assert json.loads(result.stdout)["valueCodeableConcept"]["coding"][0]["code"] == "urgent"


def test_extract_prints_a_transaction(tmp_path: Path, response: dict[str, Any]) -> None:
    questionnaire = shipped_pages() / PAGE / "questionnaire.json"
    for options in ([], ["--questionnaire", questionnaire]):
        result = _run("extract", _file(tmp_path, response), *options)
        assert result.exit_code == 0
        assert json.loads(result.stdout)["type"] == "transaction"


def test_extract_tells_why_it_refuses(tmp_path: Path, response: dict[str, Any]) -> None:
    result = _run("extract", _file(tmp_path, {**response, "questionnaire": "https://x.example/none"}))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["issue"][0]["code"] == "not-found"


def test_fhirpath_prints_a_json_array(tmp_path: Path, response: dict[str, Any]) -> None:
    file = _file(tmp_path, response)
    result = _run("fhirpath", "descendants().where(linkId = 'medicines').answer.value.code", file)
    assert (result.exit_code, json.loads(result.stdout)) == (0, ["N05AN01"])
    assert json.loads(_run("fhirpath", "1.50 + 1", file).stdout) == [2.5]
    assert json.loads(_run("fhirpath", "{}", file).stdout) == []


def test_fhirpath_points_to_the_fault(tmp_path: Path, response: dict[str, Any]) -> None:
    result = _run("fhirpath", "status = = 'x'", _file(tmp_path, response))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "  status = = 'x'"
    assert lines[1].strip() == "^"
    assert lines[2].startswith("Error: ")


@pytest.mark.parametrize("content", [{"a": 1}, {"resourceType": "Foo"}])
def test_fhirpath_needs_a_resource(tmp_path: Path, content: dict[str, Any]) -> None:
    result = _run("fhirpath", "a", _file(tmp_path, content))
    assert (result.exit_code, json.loads(result.stdout)["issue"][0]["expression"]) == (1, ["resourceType"])


def test_fhirpath_writes_characters_beyond_the_basic_plane(tmp_path: Path, response: dict[str, Any]) -> None:
    assert json.loads(_run("fhirpath", r"'\ud83d\ude00'", _file(tmp_path, response)).stdout) == ["😀"]


def test_the_shipped_page_passes_check_and_test() -> None:
    check = _run("pack", "check")
    assert check.exit_code == 0
    assert check.stdout.startswith("muscle-fasciculation 1.1.0: usable.")
    test = _run("pack", "test", shipped_pages() / PAGE)
    assert test.exit_code == 0
    assert test.stdout.splitlines()[-1].endswith("vignettes, 0 failed.")


def test_pack_check_names_file_and_element(tmp_path: Path) -> None:
    page = tmp_path / "broken"
    page.mkdir()
    (page / "questionnaire.json").write_text('{"resourceType": "Questionnaire", "status": "active"}')
    result = _run("pack", "check", page)
    assert result.exit_code == 1
    assert "questionnaire.json: Questionnaire" in result.stderr


def test_pack_check_compares_with_the_published_copy_and_prints_json() -> None:
    published = shipped_pages()
    result = _run("pack", "check", published / PAGE, "--against", published, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["issue"][0]["severity"]) == (0, "information")
    unknown = _run("pack", "check", published / PAGE, "--against", "no-such-revision")
    assert (unknown.exit_code, "no-such-revision" in unknown.stderr) == (1, True)


def test_pack_check_compares_with_no_folder_that_has_no_page(tmp_path: Path) -> None:
    result = _run("pack", "check", shipped_pages() / PAGE, "--against", tmp_path)
    assert (result.exit_code, "There is no page in" in result.stderr) == (1, True)


def test_a_host_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_ALLOW_OPEN_ON_NETWORK", "true")
    result = _run("serve", "--host", "no host")
    assert (result.exit_code, "Cannot listen on 'no host'" in result.stderr) == (1, True)


def test_two_pages_with_one_canonical_are_not_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shipped_pages() / PAGE, tmp_path / "copy")) / "questionnaire.json"
    questionnaire = json.loads(copy.read_text(encoding="utf-8"))
    copy.write_text(json.dumps({**questionnaire, "id": "copy"}), encoding="utf-8")
    monkeypatch.setenv("SYMPTOM_INTAKE_PACKS", f"{tmp_path}{os.pathsep}{shipped_pages() / PAGE}")
    result = _run("serve")
    assert result.exit_code == 2
    assert f"copy and {PAGE} are both https://symptom-intake.example/fhir/Questionnaire/{PAGE}|" in result.stderr


def test_a_new_page_passes_every_check(tmp_path: Path) -> None:
    made = _run("pack", "new", "sore-throat", "--in", tmp_path)
    assert (made.exit_code, (tmp_path / "sore-throat" / "questionnaire.json").is_file()) == (0, True)
    check = _run("pack", "check", tmp_path)
    assert check.output == "sore-throat 0.1.0: usable. 2 questions, 4 rules, 4 resources.\n"
    assert _run("pack", "test", tmp_path).stdout.endswith(" vignettes, 0 failed.\n")
    proof = _run("pack", "prove", tmp_path / "sore-throat", "--mutants")
    assert (proof.exit_code, proof.stdout.splitlines()[-1].endswith(" 0 survived.")) == (0, True)
    for name, said in (("sore-throat", "is there already"), ("Sore Throat", "is no name"), ("a" * 60, "is no name")):
        refused = _run("pack", "new", name, "--in", tmp_path)
        assert (refused.exit_code, said in refused.stderr) == (1, True)


def test_pack_prove_tells_what_fails_with_a_response(tmp_path: Path) -> None:
    _run("pack", "new", "sore-throat", "--in", tmp_path)
    plan = tmp_path / "sore-throat" / "red-flags.json"
    plan.write_text(plan.read_text().replace("%fired.empty()", "%warningSignsOpen.not()"))
    result = _run("pack", "prove", tmp_path)
    assert result.exit_code == 1
    assert "FAILS  The lowest level is reached only when no other rule fires" in result.stdout
    assert "warning-signs = first-sign gives urgent (U1, C9, H1)." in result.stdout


def test_pack_test_shows_expected_and_found(tmp_path: Path) -> None:
    page = tmp_path / PAGE
    for source in (shipped_pages() / PAGE).rglob("*.json"):
        target = page / source.relative_to(shipped_pages() / PAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    vignettes = (shipped_pages() / PAGE / "vignettes.toml").read_text()
    (page / "vignettes.toml").write_text(vignettes.replace('level = "self-care"', 'level = "urgent"'))
    result = _run("pack", "test", page)
    assert result.exit_code == 1
    assert "FAILED muscle-fasciculation case-01-eyelid-and-stress" in result.stdout
    assert "level: expected urgent, found self-care" in result.stdout


def test_an_empty_outbox(tmp_path: Path) -> None:
    assert _run("outbox", "list").stdout == "No deliveries.\n"
    assert _run("outbox", "retry", "--all").stdout == "Deliveries that are due again: 0.\n"
    missing = _run("outbox", "show", "1")
    assert (missing.exit_code, "no delivery 1" in missing.stderr) == (1, True)


def test_db_upgrade_makes_a_private_file_and_says_what_it_did(tmp_path: Path) -> None:
    first, again = _run("db", "upgrade"), _run("db", "upgrade")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout.splitlines()[0] == "Applied 0001 The tables of the first release."
    assert first.stdout.splitlines()[-1] == again.stdout.strip()
    assert again.stdout.startswith("The database has the schema of this release: sqlite:///")
    file = tmp_path / "data" / "symptom-intake" / "intake.db"
    assert file.stat().st_mode & 0o777 == 0o600


def test_every_command_shows_an_example() -> None:
    def commands(group: Any, path: list[str]) -> list[list[str]]:
        found = []
        for name, command in group.commands.items():
            below = commands(command, [*path, name]) if hasattr(command, "commands") else [[*path, name]]
            found += below
        return found

    for path in commands(main, []):
        result = _run(*path, "--help")
        assert result.exit_code == 0
        assert f"symptom-intake {' '.join(path)}" in result.stdout, path


def test_columns_are_aligned() -> None:
    assert table(("A", "LONG"), [("value", "x"), ("v", "")]) == "A      LONG\nvalue  x\nv"
