"""The Spanish of the interface is whole: each text that templates and code say, and no other, with its placeholders."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import service.web
from service.web.interface import INTERFACE_LANGUAGES

WEB = Path(service.web.__file__).parent
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def said() -> set[str]:
    """The texts that templates and code have translated, as pyproject.toml tells where to look for them."""
    project = tomllib.loads((WEB.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    method_map = [(mapping["pattern"], mapping["method"]) for mapping in project["tool"]["babel"]["mappings"]]
    return {str(text) for _, _, text, _, _ in extract_from_dir(WEB, method_map)}


@pytest.fixture(params=[language for language in INTERFACE_LANGUAGES if language != "en"])
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    file = WEB / "translations" / request.param / "LC_MESSAGES" / "messages.po"
    with file.open("rb") as opened:
        return read_po(opened, abort_invalid=True)


def test_there_is_spanish() -> None:
    assert "es" in INTERFACE_LANGUAGES


def test_each_text_is_there_and_none_that_nothing_says(catalogue: Catalog) -> None:
    texts = said()
    assert len(texts) > 150
    assert {str(message.id) for message in catalogue if message.id} == texts


def test_each_text_is_translated_with_its_placeholders_and_none_is_a_guess(catalogue: Catalog) -> None:
    for message in catalogue:
        if message.id:
            assert str(message.string).strip(), message.id
            assert not message.fuzzy, message.id
            assert sorted(PLACEHOLDER.findall(str(message.id))) == sorted(PLACEHOLDER.findall(str(message.string)))
            for end in (":", ".", " "):
                assert str(message.id).endswith(end) == str(message.string).endswith(end), message.id


def test_nobody_is_addressed_familiarly(catalogue: Catalog) -> None:
    familiar = re.compile(r"\b(tú|tu|tus|vos|contigo|tienes|puedes|llama|escribe|elige)\b", re.IGNORECASE)
    found = [str(message.string) for message in catalogue if familiar.search(str(message.string))]
    assert found == []
