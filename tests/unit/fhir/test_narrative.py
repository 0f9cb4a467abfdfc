"""Which narratives may be shown."""

from __future__ import annotations

import pytest

from service.fhir.narrative import narrative_fault
from service.fhir.structure import structure_issues


def div(inner: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'


@pytest.mark.parametrize(
    "text",
    [
        div("Twitching"),
        div("<p>5 &lt; 6 &amp; a&nbsp;b</p><table><tr><td>x</td></tr></table>"),
        div('<a href="https://example.org/x?y=1">a</a> <a href="#top">b</a> <a href="Patient/1">c</a>'),
        div('<img src="data:image/png;base64,AAAA" alt="x"/>'),
        div('<p xml:lang="de" class="x">Guten Tag</p>'),
        div("<br/>after"),
    ],
)
def test_plain_formatting_may_be_shown(text: str) -> None:
    assert narrative_fault(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<div>oops", "well-formed"),
        ("<div>no namespace</div>", "one <div"),
        ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', "one <div"),
        (div("<script>alert(1)</script>"), "element"),
        (div("<form/>"), "element"),
        (div('<svg xmlns="http://www.w3.org/2000/svg"><a/></svg>'), "element"),
        (div('<p onclick="x()">x</p>'), "attribute"),
        (div('<a href="javascript:x()">x</a>'), "scheme"),
        (div('<a href=" JavaScript:x()">x</a>'), "scheme"),
        (div('<img src="data:text/html,x"/>'), "scheme"),
        ('<!DOCTYPE d [<!ENTITY a "b">]>' + div("&a;"), "declaration"),
        (div("<?php x ?>"), "processing"),
        (div("  "), "empty"),
        (div("&unknown;"), "well-formed"),
    ],
)
def test_what_could_act_or_is_no_xhtml_is_refused(text: str, said: str) -> None:
    assert said in (narrative_fault(text) or "")


def test_a_resource_with_such_a_narrative_is_refused() -> None:
    text = {"status": "generated", "div": div("<script>x</script>")}
    (issue,) = structure_issues({"resourceType": "Patient", "text": text})
    assert issue.expression == "Patient.text.div"
