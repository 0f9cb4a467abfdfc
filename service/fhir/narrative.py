"""What the XHTML of a narrative may hold (http://hl7.org/fhir/R4/narrative.html#xhtml, invariants txt-1 and txt-2).

A narrative that came from elsewhere is shown to people as it stands: it is checked, not cleaned.
"""

from __future__ import annotations

import re
from html.entities import html5
from xml.etree import ElementTree

_XHTML = "{http://www.w3.org/1999/xhtml}"
_ELEMENTS = re.compile(
    "a|abbr|acronym|b|bdo|big|blockquote|br|caption|cite|code|col|colgroup|dd|dfn|div|dl|dt|em|h[1-6]|hr|i|img|li|ol|p"
    "|pre|q|samp|small|span|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|ul|var"
)
_ATTRIBUTES = re.compile(
    "abbr|accesskey|align|alt|axis|bgcolor|border|cellhalign|cellpadding|cellspacing|cellvalign|char|charoff|charset"
    "|cite|class|colspan|compact|coords|dir|frame|headers|height|href|hreflang|hspace|id|lang|longdesc|name|nowrap|rel"
    "|rev|rowspan|rules|scope|shape|span|src|start|style|summary|tabindex|title|type|valign|value|vspace|width"
)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_SAFE_ADDRESS = re.compile(r"(?:https?:|mailto:|data:image/(?:png|jpeg|gif);|#|[^:]*$)", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_XML_ENTITIES = ("amp;", "lt;", "gt;", "quot;", "apos;")


def narrative_fault(div: str) -> str | None:
    """What is wrong with the XHTML of a narrative, in words; None when it may be shown."""
    if "<!" in div.replace("<!--", "") or "<?" in div:
        return "It holds a declaration or a processing instruction. Keep to elements and text."
    try:
        root = ElementTree.fromstring(_ENTITY.sub(_character, div))  # noqa: S314, declarations are refused above
    except ElementTree.ParseError as fault:
        return f"It is no well-formed XHTML: {fault.msg}."
    if root.tag != f"{_XHTML}div":
        return 'It must be one <div xmlns="http://www.w3.org/1999/xhtml">.'
    for element in root.iter():
        # Comments and the like have a function as their tag.
        name = str(element.tag).removeprefix(_XHTML)
        if not _ELEMENTS.fullmatch(name):
            return "It holds an element that a narrative must not have, such as script or form."
        for attribute, value in element.attrib.items():
            if attribute != _LANGUAGE and not _ATTRIBUTES.fullmatch(attribute):
                return "It holds an attribute that a narrative must not have, such as an event handler."
            if attribute in ("href", "src", "cite", "longdesc") and not _SAFE_ADDRESS.match(value.strip()):
                return "It holds an address of a scheme that a narrative must not have."
    if not any((element.text or "").strip() or element.tag == f"{_XHTML}img" for element in root.iter()):
        return None if any((element.tail or "").strip() for element in root.iter()) else "It is empty."
    return None


def _character(match: re.Match[str]) -> str:
    name = match.group(1)
    return match.group(0) if name in _XML_ENTITIES else html5.get(name, match.group(0))
