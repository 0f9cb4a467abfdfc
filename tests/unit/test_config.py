"""Settings: what the environment may say, and how a mistake is told."""

import os
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap.storage import opened_database
from service.config import (
    PREFIX,
    ConfigurationInvalid,
    check_listening,
    default_database_url,
    is_loopback,
    load_settings,
    read_ehrs,
    unknown_variables,
)
from service.records.ehr import Ehr


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_without_variables_all_stays_on_this_machine(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/symptom-intake/intake.db"
    assert settings.fhir_server_url is None
    assert settings.auth == "open"
    assert not settings.allow_open_on_network


def test_a_relative_data_home_is_ignored_as_its_specification_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_database_url() == "sqlite:////home/ada/.local/share/symptom-intake/intake.db"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().auth = "smart"


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_FHIR_SERVER_URL", "")
    assert load_settings().fhir_server_url is None


def test_a_slash_at_the_end_of_an_address_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_FHIR_SERVER_URL", "https://fhir.example.org/r4/")
    assert load_settings().fhir_server_url == "https://fhir.example.org/r4"


def test_folders_and_origins_are_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "b"):
        folder.mkdir(exist_ok=True)
        (folder / "questionnaire.json").touch()
    monkeypatch.setenv("SYMPTOM_INTAKE_PACKS", f"{tmp_path}{os.pathsep}{tmp_path / 'b'}")
    monkeypatch.setenv("SYMPTOM_INTAKE_CORS_ORIGINS", "https://a.example, http://localhost:3000/")
    settings = load_settings()
    assert settings.packs == (tmp_path, tmp_path / "b")
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


def test_a_database_is_a_file_and_a_device_keeps_its_mode(tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device, 0o644)
    with pytest.raises(ConfigurationInvalid, match="device is no file"):
        opened_database(load_settings(database_url=f"sqlite:///{device}"))
    assert device.stat().st_mode & 0o777 == 0o644


def test_the_token_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_FHIR_SERVER_TOKEN", "hush-hush")
    assert "hush-hush" not in repr(load_settings())


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("FHIR_SERVER_URL", "http://fhir.example.org", "use https"),
        ("FHIR_SERVER_URL", "ftp://fhir.example.org", "give an address"),
        ("FHIR_SERVER_URL", "https://user:secret@fhir.example.org", "without user name"),
        ("FHIR_SERVER_URL", "http://:secret@localhost/fhir", "without user name"),
        ("FHIR_SERVER_URL", "http://localhost/fhir?", "without user name, '?'"),
        ("FHIR_SERVER_URL", "http://localhost:port/fhir", "port as a number"),
        ("FHIR_SERVER_URL", "http://localhost:99999/fhir", "port as a number"),
        ("TIME_ZONE", "Europe", "such as Europe/Madrid"),
        ("DATABASE_URL", "mysql://db/intake", "sqlite:///"),
        ("DATABASE_URL", "postgresql://ada:secret@db", "postgresql://user@host/database"),
        ("PACKS", "/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("PACKS", str(Path(__file__).parent), "no page in"),
        ("PUBLIC_URL", "https://intake.example/fhir", "leave /fhir out"),
        ("PUBLIC_URL", "https://intake.example/our%20tools", "letters, digits"),
        ("FHIR_SERVER_TOKEN", "secret\n", "without spaces or line breaks"),
        ("AUTH_ISSUER", "https://login.example.org", "SYMPTOM_INTAKE_AUTH=smart alone"),
        ("AUTH_ISSUER", "http://login.example.org", "use https"),
        ("WEBHOOK_URL", "http://ops.example.org/secret", "give an https address"),
        ("WEBHOOK_URL", "https://user:secret@ops.example.org", "without user name"),
        ("WEBHOOK_SECRET", "secret", "write whsec_"),
        ("WEBHOOK_SECRET", "whsec_c2VjcmV0", "24 to 64 random bytes"),
        ("WEBHOOK_SECRET", f"whsec_{'c2VjcmV0' * 4}", "together with SYMPTOM_INTAKE_WEBHOOK_URL"),
        ("RATE_LIMIT", "many", "100 per minute"),
        ("RATE_LIMIT", "10 per second; 0 per minute", "at least one request"),
        ("TRUSTED_PROXY", "proxy.example.org", "such as 10.0.0.1"),
        ("AUTH", "none", "'open' or 'smart'"),
        ("LOG_LEVEL", "chatty", "'DEBUG'"),
        ("MAX_BODY_BYTES", "lots", "a whole number"),
        ("STOP_SECONDS", "-1", "must be greater than or equal to 0"),
        ("ALLOW_OPEN_ON_NETWORK", "maybe", "true or false"),
        ("CORS_ORIGINS", "https://a.example/path", "is no origin"),
        ("CORS_ORIGINS", "https://a.example; script-src *", "is no origin"),
        ("CORS_ORIGINS", "https://user@a.example", "is no origin"),
        ("DELIVERY_LEASE_SECONDS", "30", "at least 3 times SYMPTOM_INTAKE_FHIR_SERVER_TIMEOUT_SECONDS"),
    ],
)
def test_a_fault_names_the_variable_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(ConfigurationInvalid) as refusal:
        load_settings()
    assert str(refusal.value).startswith(f"{PREFIX}{variable}: ")
    assert reason in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "app.localhost"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)
    check_listening(load_settings(), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org"])
def test_an_open_service_stays_on_loopback(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationInvalid, match="SYMPTOM_INTAKE_ALLOW_OPEN_ON_NETWORK=true"):
        check_listening(load_settings(), host)
    check_listening(load_settings(allow_open_on_network=True), host)


def test_a_misspelt_variable_is_pointed_out() -> None:
    sentences = unknown_variables({"SYMPTOM_INTAKE_FHIR_SERVR_URL": "x", "SYMPTOM_INTAKE_AUTH": "open", "HOME": "/"})
    assert sentences == [
        "SYMPTOM_INTAKE_FHIR_SERVR_URL is no setting and is ignored. Did you mean SYMPTOM_INTAKE_FHIR_SERVER_URL?"
    ]


SMART = {"auth": "smart", "auth_issuer": "https://login.example/realm", "public_url": "https://intake.example"}


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"auth_issuer": None}, "AUTH_ISSUER"),
        ({"public_url": None}, "PUBLIC_URL"),
        ({"public_url": "http://intake.example"}, "PUBLIC_URL"),
        ({"auth_client_id": "intake"}, "AUTH_CLIENT_SECRET"),
        ({"auth_client_secret": "hush-hush"}, "AUTH_CLIENT_SECRET"),
    ],
)
def test_tokens_need_settings_that_go_together(changes: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        load_settings(**{**SMART, **changes})
    assert str(refusal.value).startswith(f"{PREFIX}{variable}: ")
    assert "hush-hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"public_url": None, "auth_audience": "urn:intake"},
        {"public_url": "http://localhost:8000"},
        {"auth_client_id": "intake", "auth_client_secret": "hush-hush"},
    ],
)
def test_a_service_that_asks_for_tokens_may_listen_on_a_network(changes: dict[str, Any]) -> None:
    check_listening(load_settings(**{**SMART, **changes}), "0.0.0.0")


EHR = 'issuer = "https://ehr.example/fhir/"\nclient_id = "app"\n'
CDS = 'cds_issuer = "x"\ncds_jwks_url = "https://ehr.example/jwks"\n'


class TestEhrs:
    def read(self, tmp_path: Path, text: str) -> dict[str, Ehr]:
        file = tmp_path / "ehrs.toml"
        file.write_text(text, encoding="utf-8")
        return read_ehrs(file)

    def test_what_is_left_out_is_public_and_writes_by_the_launch(self, tmp_path: Path) -> None:
        found = self.read(tmp_path, f"[[ehr]]\n{EHR}")
        assert found == {"https://ehr.example/fhir": Ehr("https://ehr.example/fhir", "ehr.example", "app")}

    def test_a_file_that_is_no_text_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "ehrs.toml").write_bytes(b"\xff")
        with pytest.raises(ConfigurationInvalid, match="cannot be read"):
            read_ehrs(tmp_path / "ehrs.toml")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "no [[ehr]]"),
            ("[[ehr]", "cannot be read"),
            ("ehr = 3", "ehr: must be a list"),
            (f"[[ehrs]]\n{EHR}", "ehrs: is not known"),
            (f"[[ehr]]\n{EHR}[[ehr]]\n{EHR}", "two EHRs have the issuer https://ehr.example/fhir"),
            ('[[ehr]]\nclient_id = "app"\n', "ehr 1, issuer: is missing"),
            ('[[ehr]]\nissuer = "http://ehr.example/fhir"\nclient_id = "app"\n', "https"),
            (f'[[ehr]]\n{EHR}colour = "red"\n', "ehr 1, colour: is not known"),
            (f'[[ehr]]\n{EHR}authentication = "client-secret"\n', "client_secret goes with"),
            (f'[[ehr]]\n{EHR}client_secret = "s3cret"\n', "client_secret goes with"),
            (f'[[ehr]]\n{EHR}algorithm = "HS256"\n', "algorithm"),
            (f'[[ehr]]\n{EHR}write_back = "maybe"\n', "write_back"),
            (f'[[ehr]]\n{EHR}cds_issuer = "https://ehr.example"\n', "go together"),
            (f'[[ehr]]\n{EHR}cds_jwks_url = "https://ehr.example/jwks"\n', "go together"),
            (f'[[ehr]]\n{EHR}cds_issuer = ""\ncds_jwks_url = "https://ehr.example/jwks"\n', "cds_issuer"),
            (f'[[ehr]]\n{EHR}cds_issuer = "x"\ncds_jwks_url = "http://ehr.example/jwks"\n', "https"),
            (
                f'[[ehr]]\n{EHR}{CDS}[[ehr]]\nissuer = "https://b.example"\nclient_id = "b"\n{CDS}',
                "two EHRs have the cds_issuer x",
            ),
            (f'[[ehr]]\n{EHR}frame_origins = ["https://ehr.example/x"]\n', "origin"),
            (f'[[ehr]]\n{EHR}frame_origins = "https://ehr.example"\n', "ehr 1, frame_origins: must be a list"),
        ],
    )
    def test_what_is_wrong_is_named_and_no_secret_is_told(self, tmp_path: Path, text: str, said: str) -> None:
        with pytest.raises(ConfigurationInvalid) as refused:
            self.read(tmp_path, text)
        assert said in str(refused.value)
        assert "SYMPTOM_INTAKE_EHRS" in str(refused.value)
        assert "s3cret" not in str(refused.value)
