"""The interface in the language of whoever reads it: which one that is, and what it says.

What a person chose on a page stands over what an address asks for (`_language`), that over what their browser asks for,
and that over the page's own language. A choice lasts as long as the browser session, by a cookie; until the browser has
shown that it keeps it, addresses carry it as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import flask_babel
from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, g, request, url_for

from service.fhir.translation import lookup
from service.packs import Pack
from service.web.cookies import set_session_cookie
from service.web.language import sent_value, wanted_languages
from service.web.publications import LANGUAGE

CHOICE: Final = "language"
"""The input, the cookie, and the action of a button that tell which language a person chose."""

_FOLDER: Final = Path(__file__).parent / "translations"
_ENGLISH: Final = "en"
INTERFACE_LANGUAGES: Final = (_ENGLISH, *sorted(folder.name for folder in _FOLDER.iterdir()))
"""The languages of the interface, that of its templates first."""

# Dates are asked day first, so they are told that way.
_LOCALES: Final = {_ENGLISH: "en_GB"}
_FOR_PEOPLE: Final = frozenset({"start", "form", "result", "smart"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A language to choose: its tag, its own name, and the address of the page in it."""

    tag: str
    name: str
    address: str
    is_spoken: bool


class _Catalogues(flask_babel.Domain):  # type: ignore[misc]
    """The texts of the .po files as they are: there is no compiled file that could be missing or stale."""

    def get_translations(self) -> NullTranslations:
        return _catalogue(flask_babel.get_locale().language)


def register_languages(app: Flask) -> None:
    """Makes the interface speak the language of each request, and remember what people choose."""
    flask_babel.Babel(app, locale_selector=_locale).domain_instance = _Catalogues()
    app.jinja_env.globals.update(
        carried=carried, page_language=page_language, spoken=spoken, spoken_offers=lambda: [*_offers()]
    )

    @app.after_request
    def remember(answer: Response) -> Response:
        chosen = _choice() if request.blueprint in _FOR_PEOPLE else None
        if chosen is not None and request.cookies.get(CHOICE) != chosen:
            set_session_cookie(answer, CHOICE, chosen, "/")
        return answer


def gettext(text: str, **values: object) -> str:
    """`text` of the interface in the language of the request, with `values` for its %(names)s."""
    return str(flask_babel.gettext(text, **values))


def speak(pack: Pack) -> Pack:
    """`pack` in the language of the person, which the interface speaks from here on too."""
    g.pack = pack
    flask_babel.refresh()
    return pack.in_language(spoken())


def spoken() -> str:
    """The language of the answer: the first that is asked for and that both the page and the interface have."""
    offered = _offered()
    asked = (lookup(offered, tag) for tag in wanted_languages())
    return _choice() or next(filter(None, asked), offered[0])


def page_language() -> str:
    """The language that the page of the answer is written in, and what it does not translate stays in."""
    pack: Pack | None = g.get("pack")
    return _ENGLISH if pack is None else pack.language


def carried() -> dict[str, Any]:
    """What addresses carry for a browser that has not yet shown that it keeps the person's choice."""
    chosen = _choice()
    return {} if chosen is None or request.cookies.get(CHOICE) == chosen else {CHOICE: chosen}


def asked_language() -> str | None:
    """The language that a button of the form was pressed for, to go on in it; None for another button."""
    verb, _, tag = (sent_value("action") or "").partition(":")
    return tag if verb == CHOICE else None


@cache
def _catalogue(language: str) -> NullTranslations:
    file = _FOLDER / language / "LC_MESSAGES" / "messages.po"
    if not file.is_file():
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(file.read_bytes())))
    compiled.seek(0)
    return Translations(compiled)


def _locale() -> str:
    # What clinicians read is in English.
    found = None if request.blueprint == "summary" else lookup(INTERFACE_LANGUAGES, spoken())
    return _LOCALES.get(found or _ENGLISH, found or _ENGLISH)


def _offered() -> tuple[str, ...]:
    """The languages of the answer: the page's own, and those that the interface has too; without a page, these."""
    pack: Pack | None = g.get("pack")
    if pack is None:
        return INTERFACE_LANGUAGES
    return tuple(tag for tag in pack.languages if tag == pack.language or lookup(INTERFACE_LANGUAGES, tag))


def _choice() -> str | None:
    """The language that the person chose, now or before, where it is offered; else the one of the address."""
    told = (
        asked_language(),
        sent_value(CHOICE),
        request.cookies.get(CHOICE),
        request.args.get(LANGUAGE),
    )
    offered = _offered()
    return next((found for tag in told if tag is not None and (found := lookup(offered, tag)) is not None), None)


def _offers() -> Iterator[Offer]:
    """The languages to choose from on a page that can be opened again; none where there is one alone."""
    offered = _offered()
    if len(offered) < 2 or request.endpoint is None or request.blueprint not in _FOR_PEOPLE:
        return
    now = spoken()
    values = {**(request.view_args or {}), **request.args.to_dict()}
    values.pop(LANGUAGE, None)
    for tag in offered:
        yield Offer(tag, _own_name(tag), url_for(request.endpoint, **{**values, CHOICE: tag}), tag == now)


def _own_name(tag: str) -> str:
    try:
        name = Locale.parse(tag, sep="-").get_display_name()
    except (UnknownLocaleError, ValueError):
        name = None
    return name[:1].upper() + name[1:] if name else tag
