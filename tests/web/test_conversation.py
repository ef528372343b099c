"""Asking, as a person sees it: from an empty page to the marked words, verdicts, follow-ups, and what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pypdfium2
import pytest

Visit = Callable[..., Any]
Ask = Callable[..., Any]

pytestmark = pytest.mark.browser
QUESTION = "How many hours may be saved on the time account?"
QUOTE = "Up to 60 hours may be saved on the time account."

# Answers of POST /v1/ask under the test's own hand: `push` sends a piece, `finish` ends the stream.
BY_HAND = """
const encoder = new TextEncoder();
const real = window.fetch;
window.fetch = (path, options) => {
  if (path !== "/v1/ask") return real(path, options);
  const body = new ReadableStream({ start(stream) {
    const line = (name, data) => `event: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`;
    window.push = (name, data) => stream.enqueue(encoder.encode(line(name, data)));
    window.finish = () => stream.close();
    options.signal.addEventListener("abort", () => stream.error(new DOMException("stopped", "AbortError")));
  } });
  return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
};
"""


def words_on_page(path: Path, number: int, quote: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a quote as fractions of the page, from the PDF itself."""
    page = pypdfium2.PdfDocument(path)[number - 1]
    text = page.get_textpage()
    index, n_chars = text.search(quote).get_next()
    boxes = [text.get_charbox(at) for at in range(index, index + n_chars)]
    width, height = page.get_size()
    left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return left / width, 1 - top / height, right / width, 1 - bottom / height


def test_four_actions_lead_from_an_empty_page_to_the_marked_words(visit: Visit, samples: Path) -> None:
    page = visit(collection="first time")
    assert page.locator("#welcome").is_visible()
    page.set_input_files("#files", samples / "employee-handbook.pdf")  # 1
    page.locator("#documents .state.ready").wait_for(state="attached")
    page.fill("#question", QUESTION)  # 2
    page.press("#question", "Enter")  # 3
    page.locator("button.chip").first.click()  # 4
    page.locator("#source-body .mark").first.wait_for()
    assert page.locator("#source img").get_attribute("alt").startswith("Page 2 of employee-handbook.pdf")
    assert page.locator("#source-quote").inner_text() == QUOTE
    frame = page.locator("#source .page").bounding_box()
    marks = [mark.bounding_box() for mark in page.locator("#source-body .mark").all()]
    left, top, right, bottom = words_on_page(samples / "employee-handbook.pdf", 2, QUOTE)
    assert min(mark["x"] - frame["x"] for mark in marks) / frame["width"] == pytest.approx(left, abs=0.01)
    assert max(mark["x"] + mark["width"] - frame["x"] for mark in marks) / frame["width"] == pytest.approx(
        right, abs=0.01
    )
    assert min(mark["y"] - frame["y"] for mark in marks) / frame["height"] == pytest.approx(top, abs=0.01)
    assert max(mark["y"] + mark["height"] - frame["y"] for mark in marks) / frame["height"] == pytest.approx(
        bottom, abs=0.01
    )
    page.keyboard.press("Escape")
    assert not page.locator("#source").is_visible()
    assert page.evaluate("document.activeElement.className") == "chip"


def test_each_sentence_has_its_verdict_in_words_and_the_quote_is_a_hover_away(visit: Visit, ask: Ask) -> None:
    page = visit()
    turn = ask(page, QUESTION)
    names = [node.get_attribute("aria-label") for node in turn.locator("button.verdict").all()]
    assert [name.split(",")[0] for name in names] == [
        "Supported by the documents",
        "Contradicted by the documents",
        "Not supported by what was read",
    ]
    assert turn.locator(".tally li").all_inner_texts() == [
        "1 of 3 supported",
        "1 of 3 contradicted",
        "1 of 3 unsupported",
    ]
    turn.locator("button.chip").first.hover()
    page.locator("#peek").wait_for()
    assert QUOTE in page.locator("#peek").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#peek").is_hidden()
    page.locator("#question").focus()
    turn.locator("button.chip").first.focus()
    page.keyboard.press("Tab")
    page.locator("#peek").wait_for()
    assert "Supported by the documents" in page.locator("#peek").inner_text()
    turn.locator(".found summary").click()
    assert turn.locator(".hit .tag.cited").first.inner_text() == "cited as 1"
    turn.locator(".hit button").first.click()
    page.locator("#source-body mark").wait_for()
    assert page.locator("#source-body mark").inner_text().strip() in page.locator("#source-body .passage").inner_text()


def test_the_draft_grows_and_is_replaced(visit: Visit, site: httpx.Client) -> None:
    answer = site.post("/v1/ask", json={"question": QUESTION, "collection": "handbook"}).json()
    page = visit(script=BY_HAND)
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    page.locator("#stop").wait_for()
    push = lambda name, data: page.evaluate("([name, data]) => push(name, data)", [name, data])  # noqa: E731
    push("retrieval", {"hits": answer["retrieved"], "retrieve_seconds": 0.1})
    page.get_by_text("passages found; reading").first.wait_for()
    push("token", {"text": "Up to 60 hours"})
    push("token", {"text": " [1]. Nonsense"})
    draft = page.locator(".text.draft")
    draft.get_by_text("Nonsense").wait_for()
    assert draft.locator(".chip.ghost").inner_text() == "1"
    assert page.locator("#stop").is_visible()
    push("answer", answer)
    push("done", {"answer_id": answer["answer_id"]})
    page.evaluate("finish()")
    page.locator(".costs").wait_for()
    assert "Nonsense" not in page.locator("#thread").inner_text()
    assert page.locator("button.verdict").count() == 3
    assert page.url.endswith(f"#/ask/{answer['answer_id']}")


def test_what_stops_or_breaks_off_says_so_and_keeps_the_question(visit: Visit) -> None:
    page = visit(script=BY_HAND)
    for end, words in (("stop", "Stopped."), ("finish()", "The service broke off"), ("error", "the disk is full")):
        page.fill("#question", QUESTION)
        page.press("#question", "Enter")
        page.locator("#stop").wait_for()
        page.evaluate("push('token', { text: 'Half a' })")
        page.locator(".text.draft").get_by_text("Half a").wait_for()
        if end == "stop":
            page.click("#stop")
        elif end == "error":
            page.evaluate("push('error', { code: 'storage', detail: 'the disk is full' })")
        else:
            page.evaluate(end)
        note = page.locator(".turn .note").last
        note.get_by_text(words).wait_for()
        assert "unchecked draft" in note.inner_text()
        assert page.input_value("#question") == QUESTION


def test_without_a_service_the_page_says_what_to_do_and_goes_on_by_itself(visit: Visit, ask: Ask) -> None:
    page = visit("/#/library", forgive=("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_NETWORK"))
    page.locator("#documents .state").first.wait_for()
    page.context.set_offline(True)
    page.goto("/#/ask")
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    page.locator(".turn .note").get_by_text("The service cannot be reached").wait_for()
    assert page.input_value("#question") == QUESTION
    page.context.set_offline(False)
    assert ask(page, QUESTION).locator("button.chip").count() == 1


def test_a_follow_up_carries_the_conversation_until_it_is_told_not_to(visit: Visit, ask: Ask) -> None:
    page = visit()
    sent: list[dict[str, Any]] = []
    page.on(
        "request",
        lambda request: sent.append(json.loads(request.post_data)) if request.url.endswith("/v1/ask") else None,
    )
    ask(page, QUESTION)
    assert "Follows" in page.locator("#follow").inner_text()
    ask(page, "And how long is the working week?")
    page.click("#follow-off")
    ask(page, "Who may work from home?")
    assert "history" not in sent[0] and "history" not in sent[2]
    assert [turn["role"] for turn in sent[1]["history"]] == ["user", "assistant"]
    assert sent[1]["history"][0]["content"] == QUESTION


def test_side_by_side_answers_from_both_and_all_is_there_after_a_reload(visit: Visit, ask: Ask) -> None:
    page = visit(forgive=("404",))
    page.get_by_label("Side by side").check()
    turn = ask(page, QUESTION)
    turn.locator("article.closed_book .costs").wait_for()
    assert turn.locator("article").count() == 2
    assert turn.locator("article.closed_book button.chip").count() == 0
    page.reload()
    page.locator("article.closed_book .costs").wait_for()
    assert page.locator(".turn.both article").count() == 2
    address = page.url
    page.click("#new-conversation")
    assert page.locator(".turn").count() == 0
    page.goto(address)
    page.locator(".turn .costs").wait_for()
    assert page.locator("#thread-note").inner_text().startswith("This is one stored answer")
    page.goto("/#/ask/ans_that_is_not_there")
    page.get_by_text("There is no answer under this address").wait_for()


def test_an_abstention_explains_itself_and_shows_the_nearest_passages(
    visit: Visit, ask: Ask, site: httpx.Client, upload: Callable[[httpx.Client, Path, str], str], tmp_path: Path
) -> None:
    path = tmp_path / "sea.txt"
    path.write_text("The sea is blue and wide. Ships cross it by night.", encoding="utf-8")
    upload(site, path, "sea")
    page = visit(collection="sea")
    turn = ask(page, "Is the sea blue?")
    box = turn.locator(".abstained").inner_text()
    assert "The documents do not contain an answer to this question." in box
    assert "The model wrote something that the passages do not support well enough" in box
    assert "The sea is blue" in turn.locator(".hit-text").first.inner_text()
    nowhere = visit(collection="nothing here")
    assert "Nothing was found in “nothing here”" in ask(nowhere, "Is the sea blue?").locator(".abstained").inner_text()


def test_an_answer_is_copied_with_its_sources(visit: Visit, ask: Ask) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    ask(page, QUESTION).get_by_role("button", name="Copy with citations").click()
    page.get_by_text("Copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"\n\n[1] employee-handbook.pdf, page 2: “{QUOTE}”")
    assert copied.startswith("Up to 60 hours may be saved on the time account")
