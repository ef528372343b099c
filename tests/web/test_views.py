"""Look inside, comparisons, and what holds for every view: keyboard, width, colors, accessibility."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Visit = Callable[..., Any]
Ask = Callable[..., Any]

pytestmark = pytest.mark.browser
QUESTION = "How many hours may be saved on the time account?"


@pytest.fixture(scope="module")
def answer_id(site: httpx.Client) -> str:
    found: str = site.post("/v1/ask", json={"question": QUESTION, "collection": "handbook"}).json()["answer_id"]
    return found


@pytest.fixture(scope="module")
def comparison_id(site: httpx.Client) -> str:
    cases = [{"id": "1", "question": QUESTION, "reference_answers": ["60"]}]
    systems = [{"name": "documents", "mode": "grounded"}, {"name": "memory", "mode": "closed_book"}]
    body = {"name": "<b>Two ways</b>", "collection": "handbook", "cases": cases, "systems": systems, "trace": False}
    started: str = site.post("/v1/comparisons", json=body).json()["comparison_id"]
    return started


def test_the_tokens_of_an_answer_and_what_the_sliders_make_of_them(visit: Visit, answer_id: str) -> None:
    page = visit(f"/#/inspect/{answer_id}")
    page.locator(".token").first.wait_for()
    assert page.locator(".token span").first.inner_text() == "Up"
    page.locator(".token").nth(3).click()
    table = page.locator(".candidates")
    assert table.locator(".own th").inner_text().startswith("␣hours")
    model = float(table.locator(".own td").nth(1).inner_text().rstrip(" %"))
    assert 50 <= model <= 100
    page.locator("#slider-temperature").fill("2")
    cooler = float(table.locator(".own td").nth(2).inner_text().strip("≈ %"))
    p = model / 100
    expected = 100 / (1 + math.sqrt((1 - p) / p))  # two outcomes at temperature 2
    assert cooler == pytest.approx(expected, abs=1)
    page.locator("#slider-temperature").fill("0")
    assert table.locator(".own td").nth(2).inner_text() == "100 %"
    assert {node.get_attribute("data-level") for node in page.locator(".token").all()} == {"0"}
    page.get_by_role("button", name="Reset").click()
    assert table.locator(".own td").nth(2).inner_text() == table.locator(".own td").nth(1).inner_text()
    page.locator(".token").nth(3).focus()
    page.keyboard.press("ArrowRight")
    assert table.locator(".own th").inner_text().startswith("␣may")
    page.get_by_text("The prompt as the model read it").click()
    assert QUESTION in page.locator(".prompt").inner_text()


def test_the_reshaped_distribution_is_the_decoders(visit: Visit) -> None:
    import torch

    from llm.sampling import reshaped_probabilities
    from llm.types import SamplingParams

    logits = torch.randn(4000, generator=torch.Generator().manual_seed(7)) * 2.5
    top = logits.softmax(-1).topk(40)
    given = {
        "alternatives": [
            {"token_id": i, "logit": float(logits[i]), "probability": p}
            for p, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ],
        "logsumexp": float(logits.logsumexp(-1)),
        "tail_probability": float(1 - top.values.sum()),
    }
    page = visit()
    run = "([token, how]) => import('/static/distribution.js').then((module) => module.reshape(token, how))"
    for temperature, k, p in (
        (0, 0, 1),
        (1, 0, 1),
        (0.7, 10, 1),
        (1.3, 25, 0.8),
        (1, 0, 0.3),
        (0.4, 40, 0.95),
        (1, 0, 1),
    ):
        found = page.evaluate(run, [given, {"temperature": temperature, "topK": k, "topP": p}])
        params = SamplingParams(max_new_tokens=1, temperature=float(temperature), top_k=k, top_p=float(p))
        exact = reshaped_probabilities(logits, params, ())
        assert found["after"] == pytest.approx(exact[top.indices].tolist(), abs=1e-4)
        assert sum(found["after"]) + found["tail"] == pytest.approx(1, abs=1e-6)
    for temperature in (0.5, 0.8, 1.2, 1.5):  # what is not listed is estimated, and is said to be
        found = page.evaluate(run, [given, {"temperature": temperature, "topK": 0, "topP": 1}])
        params = SamplingParams(max_new_tokens=1, temperature=temperature)
        tail = 1 - float(reshaped_probabilities(logits, params, ())[top.indices].sum())
        assert found["estimated"]
        assert found["tail"] == pytest.approx(tail, abs=0.15)


def test_a_comparison_from_pasted_cases_to_its_report(visit: Visit) -> None:
    page = visit("/#/compare")
    page.get_by_role("button", name="Start the comparison").click()
    page.get_by_text("Add at least one case first.").wait_for()
    page.fill("#paste", f"{QUESTION} = 60 | sixty\nWho owns the moon?")
    page.get_by_role("button", name="Add these").click()
    assert page.locator(".cases tbody tr").count() == 2
    page.fill("#draft-n", "1")
    page.get_by_role("button", name="Draft").click()
    page.get_by_text("1 case added.").wait_for()
    page.reload()
    page.locator(".cases tbody tr").nth(2).wait_for()
    page.get_by_role("button", name="Remove: Who owns the moon?").click()
    page.fill("#compare-name", "Hours <i>")
    page.get_by_role("button", name="Start the comparison").click()
    report = page.frame_locator("iframe.report")
    report.locator("h1").get_by_text("Hours <i>").wait_for()
    report.locator("#list article").first.wait_for()  # its own script runs
    assert re.search(r"#/compare/cmp_\w+$", page.url)
    with page.expect_download() as download:
        page.get_by_role("button", name="report.json").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["name"] == "Hours <i>"
    page.get_by_role("button", name="Delete").click()
    page.click("#sure-yes")
    page.locator("#no-runs, #runs").first.wait_for(state="attached")
    page.wait_for_url("**/#/compare")


def test_a_report_runs_without_the_origin_of_the_page(visit: Visit, comparison_id: str) -> None:
    page = visit(f"/#/compare/{comparison_id}", forgive=("Content Security Policy", "connect-src", "fetch"))
    page.frame_locator("iframe.report").locator("h1").wait_for()
    frame = page.frames[1]
    assert frame.evaluate("self.origin") == "null"
    with pytest.raises(Exception, match=r"Blocked a frame|cross-origin|SecurityError"):
        frame.evaluate("parent.document.title")
    assert frame.evaluate("fetch('/v1/documents').then(() => 'reached', () => 'refused')") == "refused"


def test_all_of_asking_goes_by_keyboard(visit: Visit) -> None:
    page = visit()
    page.locator("#question").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "ask-title"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "question":
            break
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator(".costs").wait_for()
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('button.chip')"):
            break
    page.locator("#peek").wait_for()
    page.keyboard.press("Enter")
    page.locator("#source-body .mark").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "source-title"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('button.chip')")


@pytest.mark.parametrize("width", [320, 2560])
def test_no_view_is_wider_than_the_screen(visit: Visit, ask: Ask, answer_id: str, width: int) -> None:
    page = visit(width=width)
    turn = ask(page, QUESTION)
    for address in ("#/ask", "#/library", "#/compare", f"#/inspect/{answer_id}"):
        page.goto(f"/{address}")
        if "inspect" in address:
            page.locator(".token").first.wait_for()
        if "compare" in address:
            page.fill("#paste", "A long question " * 20)
            page.get_by_role("button", name="Add these").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    page.goto("/#/ask")
    turn.locator("button.chip").first.click()
    page.locator("#source-body .mark").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    mark = page.locator("#source-body .mark").first.bounding_box()
    assert 0 <= mark["x"] < width and 0 <= mark["y"] < 800
    assert page.evaluate("document.querySelector('#top').inert") is (width == 320)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing(
    axe: Any, visit: Visit, ask: Ask, answer_id: str, comparison_id: str, width: int, scheme: str
) -> None:
    page = visit(width=width, color_scheme=scheme)
    turn = ask(page, QUESTION)
    turn.locator(".found summary").click()

    def check(where: str) -> None:
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = axe.run(page, options={"runOnly": {"type": "tag", "values": tags}, "iframes": False})
        serious = [
            (item["id"], [node["html"][:160] for node in item["nodes"]])
            for item in found.response["violations"]
            if item["impact"] in ("serious", "critical", "moderate")
        ]
        assert serious == [], where

    check("ask")
    turn.locator("button.chip").first.click()
    page.locator("#source-body .mark").first.wait_for()
    check("source")
    page.goto("/#/library")
    page.locator(".row-head").first.click()
    check("library")
    page.goto(f"/#/inspect/{answer_id}")
    page.locator(".token").first.wait_for()
    check("inspect")
    page.goto("/#/compare")
    page.fill("#paste", "A question? = an answer")
    page.get_by_role("button", name="Add these").click()
    page.locator("#runs li").first.wait_for()
    check("compare")


def test_colors_follow_the_system_until_they_are_chosen(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate(ground) != dark
    page.click("#theme")
    assert page.evaluate(ground) == dark
