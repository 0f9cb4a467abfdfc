"""A browser without scripts: reads the pages of a Flask application, fills in their forms, and sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

_ACCEPT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_VOID = frozenset({"input", "meta", "link", "br", "img", "hr"})


@dataclass
class Input:
    """One control of a form: `value` is what it would send, None while it sends nothing (a box that is not ticked)."""

    name: str
    kind: str
    value: str | None
    offered: str
    hidden: bool
    attributes: dict[str, str]


@dataclass
class Page(HTMLParser):
    """What a page shows: its texts, links, and the one form it has."""

    answer: TestResponse
    texts: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    action: str | None = None
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._label: dict[str, list[str]] = {}
        self.feed(self.answer.get_data(as_text=True))
        self.labels = {id_: " ".join(" ".join(parts).split()) for id_, parts in self._label.items()}

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def address(self) -> str:
        """Path and query, as the address bar shows them."""
        return self.answer.request.full_path.rstrip("?")

    @property
    def text(self) -> str:
        """Everything it says, white space folded."""
        return " ".join(" ".join(self.texts).split())

    @property
    def heading(self) -> str:
        return " ".join(" ".join(self._texts_of("h1")).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if "id" in attributes:
            assert attributes["id"] not in self.ids, f"two elements have the id {attributes['id']}"
            self.ids.add(attributes["id"])
        if tag not in _VOID:
            self._open.append((tag, attributes))
        match tag:
            case "form":
                assert self.action is None, "a page has one form"
                self.action = attributes["action"]
            case "input":
                self._add_input(attributes)
            case "textarea" | "select":
                self._add(attributes, tag, "", "")
            case "option":
                chosen = self.inputs[-1]
                if "selected" in attributes or not chosen.attributes.get("options"):
                    chosen.value = attributes["value"]
                chosen.attributes["options"] = chosen.attributes.get("options", "") + f"|{attributes['value']}"

    def _add_input(self, attributes: dict[str, str]) -> None:
        kind = attributes["type"]
        offered = attributes.get("value", "on")
        is_box = kind in ("radio", "checkbox")
        self._add(attributes, kind, None if is_box and "checked" not in attributes else offered, offered)

    def _add(self, attributes: dict[str, str], kind: str, value: str | None, offered: str) -> None:
        if "disabled" not in attributes:
            hidden = any("hidden" in around for _, around in self._open)
            self.inputs.append(Input(attributes["name"], kind, value, offered, hidden, attributes))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if "textarea" in tags:
            # The newline after the tag is no part of the text.
            self.inputs[-1].value = data.removeprefix("\n")
        if any("hidden" in attributes for _, attributes in self._open) or {"script", "style"} & set(tags):
            return
        self.texts.append(data)
        for tag, attributes in self._open:
            if tag == "a" and "href" in attributes:
                words = f"{self.links.get(attributes['href'], '')} {data}"
                self.links[attributes["href"]] = " ".join(words.split())
            if tag == "label":
                self._label.setdefault(attributes.get("for", ""), []).append(data)
            if tag == "h1":
                self._label.setdefault("h1", []).append(data)

    def _texts_of(self, tag: str) -> list[str]:
        return self._label.get(tag, [])

    def values(self, name: str) -> list[str]:
        """What the inputs of this name would send."""
        return [one.value for one in self.inputs if one.name == name and one.value is not None]

    def asks(self, name: str) -> bool:
        """True when the page shows the question."""
        return name in self.values("asked")

    def link(self, words: str) -> str:
        """The address of the link with these words."""
        return next(address for address, text in self.links.items() if words in text)


@dataclass
class Browser:
    """A browser with its cookies (or one that keeps none), on one page at a time."""

    app: Flask
    cookies: bool = True
    client: FlaskClient = field(init=False)
    page: Page = field(init=False)
    visited: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = self.app.test_client(use_cookies=self.cookies)

    def open(self, address: str) -> Page:
        """Go to an address, as a link does."""
        parts = urlsplit(address)
        return self._shown(self.client.get(f"{parts.path}?{parts.query}", headers=_ACCEPT, follow_redirects=True))

    def follow(self, words: str) -> Page:
        """Follow the link with these words."""
        return self.open(self.page.link(words))

    def fill(self, **answers: str | list[str]) -> Browser:
        """Fill in inputs by name (`_` for `-`, `__` for `.`); a box is ticked by its value."""
        for given, values in answers.items():
            name = given.replace("__", ".").replace("_", "-")
            self.fill_named(name, [values] if isinstance(values, str) else values)
        return self

    def fill_named(self, name: str, values: list[str]) -> None:
        inputs = [one for one in self.page.inputs if one.name == name and not one.hidden]
        assert inputs, f"the page shows no input {name}"
        if inputs[0].kind in ("radio", "checkbox"):
            assert set(values) <= {one.offered for one in inputs}, f"{values} of {[one.offered for one in inputs]}"
            for one in inputs:
                one.value = one.offered if one.offered in values else None
        else:
            assert len(values) <= len(inputs), f"the page shows {len(inputs)} inputs {name}"
            for one, value in zip(inputs, values, strict=False):
                one.value = value

    def send(self, action: str = "", **answers: str | list[str]) -> Page:
        """Fill in, and press the button of this action (Continue)."""
        self.fill(**answers)
        assert self.page.action is not None
        return self.post(self.page.action, self.form(action))

    def form(self, action: str = "") -> MultiDict[str, str]:
        """What the form of the page would send."""
        pairs = [(one.name, one.value) for one in self.page.inputs if one.value is not None]
        return MultiDict([*pairs, ("action", action)])

    def post(self, address: str, form: Any) -> Page:
        """Send a form, wherever it comes from."""
        return self._shown(self.client.post(address, data=form, headers=_ACCEPT, follow_redirects=True))

    def _shown(self, answer: TestResponse) -> Page:
        self.visited += [one.request.full_path for one in (*answer.history, answer)]
        self.page = Page(answer)
        return self.page
