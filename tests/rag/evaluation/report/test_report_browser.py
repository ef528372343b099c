"""The page in a real browser: quiet, reachable by keyboard, readable at every width, lean with thousands of cases."""

import copy
import re
import shutil
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest

from rag.evaluation.report_html import render_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Open]:
    """Opens the report, or another address; at the end nothing was asked of a network and nothing was complained of."""
    contexts = []
    asked: list[str] = []
    said: list[str] = []
    wanted: set[str] = set()

    def visit(width: int = 1280, to: str = address, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        wanted.add(to)
        page.goto(to)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert {url.split("#")[0] for url in asked if not url.startswith("data:")} <= wanted
    assert said == []


def test_nothing_from_the_texts_runs(visit: Open, report: dict[str, Any]) -> None:
    page = visit()
    page.wait_for_selector("#list article")
    assert page.title() == f"{report['name']} – comparison report".replace("\u2028", "\u2028").strip()
    assert page.locator("img, iframe").count() == 0
    first = page.locator("#list article").first
    assert report["case_rows"][0]["question"].rstrip("\u2028") in first.locator("h3").text_content()
    assert page.evaluate("document.querySelectorAll('script').length") == 3


def _contrast(page: Any, selector: str) -> float:
    """WCAG 2.2 contrast of an element's text on what lies behind it."""
    return float(
        page.evaluate(
            """(selector) => {
              const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
              const bytes = (colours) => {
                canvas.clearRect(0, 0, 1, 1);
                for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
                return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
              };
              const light = (rgb) => rgb.map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
              const element = document.querySelector(selector);
              const behind = [];
              for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
              const style = getComputedStyle(element);
              const text = light(bytes([element instanceof SVGElement ? style.fill : style.color]));
              const ground = light(bytes(behind));
              return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
            }""",
            selector,
        )
    )


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (320, "dark")])
def test_axe_finds_nothing(visit: Open, report: dict[str, Any], tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "few.html"
    path.write_text(render_report({**report, "case_rows": report["case_rows"][:5]}), encoding="utf-8")
    page = visit(width, to=path.as_uri(), color_scheme=scheme)
    page.wait_for_selector("#list article")
    page.evaluate("for (const block of document.querySelectorAll('details')) block.open = true")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(item["impact"], item["id"], item["nodes"][0]["html"]) for item in found] == []
    for selector in ("svg text.tick", "svg text.label.s0", "svg text.label.s3", ".axis-title", ".chip.unsupported"):
        assert _contrast(page, selector) >= 4.5, selector


def test_nothing_is_wider_than_the_screen(visit: Open) -> None:
    page = visit()
    page.evaluate("for (const block of document.querySelectorAll('details')) block.open = true")
    for width in (320, 420, 600, 705, 885, 1005, 1185, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_cell_of_the_transition_table_filters_the_cases(visit: Open, report: dict[str, Any]) -> None:
    page = visit()
    row = page.locator("button.cell[data-system='2'][data-from='wrong'][data-to='correct']")
    n = report["comparisons"][1]["transitions"]["wrong"]["correct"]
    assert n > 0 and row.locator("b").text_content() == str(n)
    row.focus()
    page.keyboard.press("Enter")
    assert page.locator("#shown").text_content().startswith(f"{n} case")
    assert row.get_attribute("aria-pressed") == "true"
    for card in page.locator("#list article").all():
        tags = card.locator(".outcome-tag").all_text_contents()
        assert (tags[0], tags[2]) == ("✗ wrong", "✓ correct")
    page.get_by_role("button", name="Remove this choice").click()
    assert page.locator("#shown").text_content().startswith("60 cases of 60")


def test_filters_narrow_together(visit: Open, report: dict[str, Any]) -> None:
    page = visit()

    def n_shown() -> int:
        page.wait_for_timeout(200)
        found = re.match(r"(\d+) case", page.locator("#shown").text_content())
        return int(found[1]) if found else 0

    page.select_option("#f-verdict", "contradicted")
    page.select_option("#f-system", "1")
    rows = report["case_rows"]
    with_verdict = [
        case
        for case in rows
        for answer in case["answers"]
        if answer["system"] == "grounded <b>" and any(claim["verdict"] == "contradicted" for claim in answer["claims"])
    ]
    assert n_shown() == len(with_verdict) > 0
    page.select_option("#f-document", "document 3")
    assert n_shown() == sum(case["document"] == "document 3" for case in with_verdict) > 0
    page.fill("#f-text", "BOTTLE nowhere")
    assert n_shown() == 0
    assert "No case fits" in page.locator("#shown").text_content()
    page.get_by_role("button", name="Show all").click()
    assert n_shown() == 60
    page.fill("#f-text", "bottle 17 hold")
    assert n_shown() == 1
    page.fill("#f-text", "")
    page.select_option("#f-transition", label=page.locator("#f-transition optgroup option").first.text_content())
    expected = re.search(r"\((\d+)\)", page.locator("#f-transition optgroup option").first.text_content())
    assert expected is not None and n_shown() == int(expected[1])
    page.select_option("#f-transition", "")
    page.select_option("#f-outcome", "none")
    assert n_shown() == 1  # the case that a system failed on


def test_slices_and_causes_lead_to_their_cases(visit: Open, report: dict[str, Any]) -> None:
    page = visit()
    cause = page.locator("[data-filter=cause]").first
    n = cause.text_content().split()[0]
    cause.click()
    assert page.locator("#shown").text_content().startswith(f"{n} case")
    for place, item in enumerate(report["slices"]):
        button = page.locator("[data-filter=slice]").nth(place)
        button.click()
        shown = int(page.locator("#shown").text_content().split()[0])
        assert shown >= item["n"] > 0


def test_a_claim_leads_to_its_quote_by_keyboard(visit: Open) -> None:
    page = visit()
    page.select_option("#f-system", label="grounded <b>")
    page.select_option("#f-verdict", "contradicted")
    page.wait_for_timeout(200)
    marked = page.locator("#list .claim.supported").first
    assert marked.text_content() == "𝒳 The bottle holds 3 litres"
    assert "underline" in marked.evaluate("node => getComputedStyle(node).textDecorationLine")
    styles = {
        kind: page.locator(f"#list .claim.{kind}").first.evaluate("node => getComputedStyle(node).textDecorationStyle")
        for kind in ("supported", "contradicted", "unsupported")
    }
    assert len(set(styles.values())) == 3
    chip = page.locator("#list .chip.contradicted").first
    assert "✗ 2 contradicted" in chip.text_content()
    chip.focus()
    page.keyboard.press("Enter")
    reached = page.evaluate("document.activeElement.textContent")
    assert "is green" in reached and "handbook <i>.pdf, page 4" in reached and "blue is not in the evidence" in reached
    assert "#" not in page.url
    page.locator("#list .chip.citation").first.click()
    assert "It holds 3 litres" in page.evaluate("document.activeElement.textContent")
    assert page.locator("#list details[open]").count() == 1
    assert page.locator("#list .chip.broken").first.text_content().startswith("[9]")


def test_the_slider_moves_line_and_numbers(visit: Open, report: dict[str, Any]) -> None:
    page = visit()
    slider = page.get_by_label("A wrong answer costs as much as")
    before = page.locator("#cost .cursor").get_attribute("x1")
    slider.focus()
    page.keyboard.press("End")
    last = report["comparisons"][0]["cost_curve"][-1]
    assert page.locator("#cost-value").text_content() == "10"
    assert slider.get_attribute("aria-valuetext") == "10 right answers"
    assert float(page.locator("#cost .cursor").get_attribute("x1")) > float(before)
    cells = page.locator("#cost-table tbody tr").nth(1).locator("td").all_text_contents()
    assert cells[0] == f"{last['system']:.2f}".replace("-", "−")
    assert cells[1].startswith(f"{last['difference']:+.2f}".replace("-", "−"))


def test_more_cases_come_on_demand(visit: Open) -> None:
    page = visit()
    assert page.locator("#list article").count() == 20
    page.get_by_role("button", name="Show 20 more").click()
    assert page.locator("#list article").count() == 40
    assert page.evaluate("document.activeElement.closest('article') === document.querySelectorAll('#list article')[20]")
    page.get_by_role("button", name="Show 20 more").click()
    assert page.locator("#more").is_hidden()


def test_five_thousand_cases_build_only_what_is_shown(visit: Open, report: dict[str, Any], tmp_path: Path) -> None:
    many = copy.deepcopy(report)
    rows = many["case_rows"]
    many["case_rows"] = [{**rows[place % len(rows)], "case_id": f"n{place}."} for place in range(5000)]
    path = tmp_path / "many.html"
    path.write_text(render_report(many), encoding="utf-8")
    page = visit(to=path.as_uri())
    page.wait_for_selector("#list article")
    assert page.locator("#shown").text_content() == "5,000 cases of 5,000, the first 20 shown"
    assert page.evaluate("document.getElementsByTagName('*').length") < 6000
    page.fill("#f-text", "n4999.")
    sync_api.expect(page.locator("#list article")).to_have_count(1)


def test_it_works_in_a_frame_that_may_only_run_scripts(browser: Any, report: dict[str, Any]) -> None:
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content(f'<iframe sandbox="allow-scripts" srcdoc="{escape(render_report(report))}"></iframe>')
    frame = page.frame_locator("iframe")
    frame.locator("#list .chip.contradicted").first.click()
    assert frame.locator("li.target").count() == 1
    assert said == []
    context.close()


def test_without_its_script_the_figures_still_stand(visit: Open) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("svg.plot").count() == 4
    assert page.locator("table.figures tbody tr").count() > 10
    assert "results.jsonl" in page.locator("noscript").inner_text()


def test_on_paper_controls_are_gone_and_everything_is_open(visit: Open) -> None:
    page = visit(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden() and page.locator("#filters").is_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").filter(has_not=page.locator(".claims")).count() == 0
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details[open]").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_motion_is_left_out_where_it_is_not_wanted(visit: Open) -> None:
    assert (
        visit(reduced_motion="reduce").evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    )
