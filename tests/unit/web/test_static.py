"""What every page carries stays light, and speaks no language of one direction."""

import re
from pathlib import Path

import service.web

FOLDER = Path(service.web.__file__).parent
STYLE = (FOLDER / "static" / "style.css").read_text(encoding="utf-8")
SCRIPT = (FOLDER / "static" / "form.js").read_text(encoding="utf-8")


def test_the_stylesheet_and_the_script_are_small() -> None:
    assert len(STYLE.encode()) <= 12 * 1024
    assert len(SCRIPT.encode()) <= 2 * 1024


def test_the_stylesheet_knows_no_left_and_right_and_no_fonts_to_fetch() -> None:
    assert re.search(r"\b(?:left|right)\b", STYLE) is None
    assert re.search(r"[^-](?:width|height)\s*:", STYLE.replace("(max-width:", "")) is None
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_templates_carry_no_style_and_no_script_of_their_own() -> None:
    for template in FOLDER.glob("templates/**/*.html"):
        text = template.read_text(encoding="utf-8")
        assert " style=" not in text, template
        assert re.search(r"<script(?! src=)", text) is None, template
        assert re.search(r"\son[a-z]+=", text) is None, template
        assert "|safe" not in text, template
