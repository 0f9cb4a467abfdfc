"""compose.yaml says what this release understands: its settings, commands and paths."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from service.cli import main
from service.config import Settings, check_listening, load_settings, variable_name

ROOT = Path(__file__).parent.parent
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
OURS = ("service", "worker")


@pytest.mark.parametrize("name", OURS)
def test_settings_are_known_and_agree_with_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {key: value for key, value in SERVICES[name]["environment"].items() if key.startswith("SYMPTOM_")}
    assert settings.keys() <= {variable_name(field) for field in Settings.model_fields}
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    loaded = load_settings()
    assert loaded.fhir_server_url == "http://localhost:8080/fhir"
    if name == "service":
        check_listening(loaded, SERVICES[name]["command"][2])


@pytest.mark.parametrize("name", OURS)
def test_commands_are_understood(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    found = main.commands[command]
    assert found.make_context(command, arguments, parent=click.Context(main)).params


@pytest.mark.parametrize("name", OURS)
def test_containers_may_change_nothing_of_themselves(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_is_written_down() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert value.startswith("${POSTGRES_PASSWORD:?")
