"""The page as it is served: what a browser is told to trust, and what its files must never contain."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from api.routes.pages import FRAME, FRAME_POLICY, POLICY, WEB_FOLDER

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FILES = sorted(path.name for path in WEB_FOLDER.iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
# The only address that may stand in a file: SVG's namespace, which no browser loads.
NAMESPACE = "http://www.w3.org/2000/svg"
UNSAFE = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|setHTML"
    r"|\beval\b|\bFunction\(|javascript:"
)
INLINE = r"""cssText|setAttribute\(["'](style|on)"""


class Tags(HTMLParser):
    """Every start tag with its attributes, the text in scripts and styles, and the fields that stand in a label."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.in_label: set[str | None] = set()
        self._open = ""
        self._label = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        self._label = self._label or tag == "label"
        if self._label:
            self.in_label.add(dict(attrs).get("id") or dict(attrs).get("name"))

    def handle_data(self, data: str) -> None:
        """Keep what a browser would run or apply."""
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Text after it belongs to no script."""
        self._open = ""
        self._label = self._label and tag != "label"


def _read(name: str) -> str:
    return (WEB_FOLDER / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page() -> Tags:
    return Tags(_read("index.html"))


@pytest.mark.parametrize("path", ["/", *(f"/static/{name}" for name in FILES)])
def test_files_come_with_their_type_and_the_policy(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    is_frame = path == f"/static/{FRAME}"
    assert answer.headers["content-security-policy"] == (FRAME_POLICY if is_frame else POLICY)
    assert answer.headers["x-frame-options"] == ("SAMEORIGIN" if is_frame else "DENY")
    assert answer.headers["content-type"] == TYPES["." + path.rpartition(".")[2] if path != "/" else ".html"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_policy_lets_nothing_in_but_the_services_own() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["frame-src"] == "'self' blob:"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


def test_the_frame_of_a_report_has_no_origin_and_no_network() -> None:
    rules = dict(rule.strip().partition(" ")[::2] for rule in FRAME_POLICY.split(";"))
    assert rules["sandbox"] == "allow-scripts"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "connect-src" not in rules
    assert "allow-same-origin" not in FRAME_POLICY
    assert "http" not in FRAME_POLICY


@pytest.mark.parametrize("name", ["nothing.js", "../routes/pages.py", "..%2froutes%2fpages.py", "%2fetc%2fpasswd"])
def test_only_files_of_the_page_are_served(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_has_no_inline_script_or_style(page: Tags) -> None:
    assert page.inline == []
    attributes: list[str] = [name for _, attrs in page.tags for name in attrs]
    assert [name for name in attributes if name == "style" or name.startswith("on")] == []


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_an_address_outside(name: str) -> None:
    text = _read(name).replace(NAMESPACE, "")
    assert re.findall(r"\bhttps?:|\bwss?:|[\"'(]//\w", text) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_and_never_markup(name: str) -> None:
    text = _read(name)
    assert re.findall(UNSAFE, text) == []
    assert re.findall(INLINE, text) == []


def test_the_first_load_is_small() -> None:
    assert sum((WEB_FOLDER / name).stat().st_size for name in FILES) < 150 * 1024


def test_what_the_page_loads_is_served(client: httpx.Client, page: Tags) -> None:
    wanted: list[str] = [
        address
        for tag, attrs in page.tags
        for address in [attrs.get("src") or (attrs.get("href") if tag == "link" else None)]
        if address
    ]
    wanted += [found for name in SCRIPTS for found in re.findall(r'(?:from |import\()"([^"]+)"', _read(name))]
    assert wanted
    for address in wanted:
        assert client.get(address).status_code == 200, address


def test_every_id_that_the_scripts_or_labels_use_is_on_the_page(page: Tags) -> None:
    ids: list[Any] = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {found for name in SCRIPTS for found in re.findall(r'getElementById\("([^"]+)"\)', _read(name))}
    used |= {attrs[name] for _, attrs in page.tags for name in ("for", "aria-labelledby") if attrs.get(name)}
    assert used <= set(ids)


def test_every_field_has_a_label_and_every_button_says_what_it_does(page: Tags) -> None:
    labelled = {attrs.get("for") for tag, attrs in page.tags if tag == "label"} | page.in_label
    for tag, attrs in page.tags:
        if tag in ("input", "textarea", "select"):
            assert (attrs.get("id") or attrs.get("name")) in labelled or attrs.get("aria-label")
        if tag == "button":
            assert attrs.get("type") in ("button", "submit")
    assert ("html", {"lang": "en"}) in page.tags
