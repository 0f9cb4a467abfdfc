"""README and code say the same: settings, routes, commands, dependencies."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from service.bootstrap import start
from service.cli import main
from service.config import Settings, load_settings, variable_name
from service.fhir.json import parse_object
from service.packs import shipped_pages
from service.web.app import create_app
from service.web.metrics import StoreFigures

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README has no section '{title}'"
    return found.group(1)


def _rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its head."""
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_settings_and_their_descriptions() -> None:
    told = {_code(row[0])[0]: row[2].rstrip(" |") for row in _rows("Settings")}
    assert told == {variable_name(name): field.description for name, field in Settings.model_fields.items()}


def test_defaults_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in _rows("Settings"):
        name = _code(row[0])[0].removeprefix("SYMPTOM_INTAKE_").lower()
        default = Settings.model_fields[name].default
        if default in (None, ()) or name == "database_url":
            continue
        assert row[1] == f"`{str(default).lower() if isinstance(default, bool) else default}`", name


def test_routes(tmp_path: Path) -> None:
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}", packs=(shipped_pages(),)))
    app = create_app(services.site())
    served = {
        (method, re.sub(r"<(?:[^:>]+:)?([^>]+)>", "{}", path))
        for rule in app.url_map.iter_rules()
        for path in _spelled(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in ("static", "fhir.refuse_bundle")
    }
    services.store.close()
    told = {
        (method, re.sub(r"{[^}]+}", "{}", path))
        for row in _rows("Routes")
        for method in row[0].strip("`").split(", ")
        for path in _code(row[1])
    }
    assert told == served


def _spelled(rule: str) -> Iterator[str]:
    """The rule once for each resource type that it names."""
    types = re.search(r"<any\(([^)]+)\):[^>]+>", rule)
    if types is None:
        yield rule
        return
    for one in types.group(1).split(","):
        yield rule.replace(types.group(0), one)


def test_commands() -> None:
    told = {command for row in _rows("Commands") for command in _code(row[0])}
    assert {_name(command) for command in told} == set(_commands(main, ()))


def _name(command: str) -> str:
    return " ".join(word for word in command.split() if word.isalpha() and word.islower())


def _commands(group: click.Group, above: tuple[str, ...]) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*above, name))
        else:
            yield " ".join((*above, name))


def test_metrics(tmp_path: Path) -> None:
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}", packs=(shipped_pages(),)))
    figures = StoreFigures(services.store, services.store, services.clock, ())
    families = [*services.metrics.registry.collect(), *figures.collect()]
    services.store.close()
    names = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    told = {_code(row[0])[0] for row in _rows("Operations")}
    assert told == {name for name in names if name.startswith("symptom_intake_")}


def test_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [*project["dependencies"], *project["optional-dependencies"]["postgresql"]]
    wanted = {re.split(r"[^A-Za-z0-9._-]", one)[0].lower() for one in packages}
    assert {_code(row[0])[0].lower() for row in _rows("Dependencies")} == wanted


def test_every_variable_and_file_that_is_named_exists() -> None:
    variables = {variable_name(name) for name in Settings.model_fields}
    assert set(re.findall(r"SYMPTOM_INTAKE_[A-Z_]*[A-Z]", README)) <= variables
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:service|tests|questionnaires)/[\w./-]+)`", README):
        assert (ROOT / path).exists(), path


def test_every_claim_of_conformance_has_tests_that_exist() -> None:
    for specification, claim, cell in _rows("Conformance"):
        links = re.findall(r"\[([^\]]+)\]\(([^)]+)\)", cell)
        assert links, f"{specification}: {claim}"
        for words, file in links:
            name = f"test_{words.replace(' ', '_')}"
            assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name


def test_the_example_of_the_tour_is_triaged_as_urgent(tmp_path: Path) -> None:
    example = parse_object((ROOT / "questionnaires/muscle-fasciculation/examples/lithium-two-days.json").read_bytes())
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}", packs=(shipped_pages(),)))
    client = create_app(services.site()).test_client()
    headers = {"Content-Type": "application/fhir+json"}
    posts = re.findall(r"-d @(\S+) \\\n\s+'http://localhost:8000(\S+?)'", _section("Tour"))
    answers = [client.post(path, data=(ROOT / file).read_bytes(), headers=headers) for file, path in posts]
    services.store.close()
    assert [answer.status_code for answer in answers] == [200, 200, 201]
    assert answers[1].json["valueCodeableConcept"]["coding"][0]["code"] == "urgent"
    assert answers[2].json["subject"] == example["subject"]
