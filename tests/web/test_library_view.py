"""The library as a person sees it: adding, broken and hostile files, deleting, finding, and very many documents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

Visit = Callable[..., Any]
Ask = Callable[..., Any]
Upload = Callable[[httpx.Client, Path, str], str]

pytestmark = pytest.mark.browser
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title = "taken"</script>'


def row(page: Any, name: str) -> Any:
    return page.locator("#documents > li").filter(has=page.get_by_text(name, exact=True))


def test_good_and_broken_files_each_have_their_own_word(visit: Visit, samples: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nthere is nothing in it\n")
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"")
    page = visit("/#/library", collection="mixed", forgive=("422", "400"))
    page.set_input_files("#files", [samples / "employee-handbook.pdf", samples / "leitfaden.docx", broken, empty])
    row(page, "employee-handbook.pdf").locator(".state.ready").wait_for()
    row(page, "leitfaden.docx").locator(".state.ready").wait_for()
    page.locator("#refused li").filter(has_text="empty.txt").wait_for()
    row(page, "broken.pdf").locator(".state.failed").wait_for()
    assert row(page, "broken.pdf").locator(".problem").inner_text().endswith(".")
    row(page, "broken.pdf").locator(".row-head").click()
    assert row(page, "broken.pdf").get_by_role("button", name="Retry").is_visible()
    row(page, "employee-handbook.pdf").locator(".row-head").click()
    receipt = row(page, "employee-handbook.pdf").locator(".receipt").inner_text()
    assert "characters of text were read" in receipt
    assert row(page, "employee-handbook.pdf").locator(".strip i").count() == 5
    page.fill("#find", "leit")
    page.locator("#library-count").get_by_text("1 document found").wait_for()
    assert page.locator("#documents > li").count() == 1
    page.fill("#find", "no such name")
    page.get_by_text("No document matches.").wait_for()
    page.reload()
    row(page, "leitfaden.docx").wait_for()
    assert page.input_value("#collection") == "mixed"


def test_deleting_says_what_went_and_takes_it_from_the_answers(
    visit: Visit, ask: Ask, site: httpx.Client, upload: Upload, samples: Path
) -> None:
    upload(site, samples / "employee-handbook.pdf", "to delete")
    page = visit(collection="to delete")
    ask(page, "How many hours may be saved on the time account?")
    assert "Up to 60 hours" in page.locator("article .text").inner_text()
    page.click("#nav [data-view=library]")
    document = row(page, "employee-handbook.pdf")
    document.locator(".row-head").click()
    document.get_by_role("button", name="Delete").click()
    page.locator("#sure-dialog").get_by_role("button", name="Keep it").click()
    assert document.count() == 1
    document.get_by_role("button", name="Delete").click()
    page.click("#sure-yes")
    message = page.locator("#library-message").get_by_text("Nothing of it is left.")
    message.wait_for()
    assert "Deleted" in message.inner_text() and "9 passages" in message.inner_text()
    page.locator("#empty").wait_for()
    page.click("#nav [data-view=ask]")
    page.get_by_text("removed together with a document").first.wait_for()
    assert "Up to 60 hours" not in page.content()


def test_names_and_texts_that_are_markup_stay_text(
    visit: Visit, ask: Ask, site: httpx.Client, upload: Upload, tmp_path: Path
) -> None:
    path = tmp_path / "<img src=x onerror=document.title=1>.txt"
    path.write_text(f"Up to 60 hours may be saved on the time account. {HOSTILE} \u202eright to left", encoding="utf-8")
    upload(site, path, "hostile")
    page = visit("/#/library", collection="hostile")
    name = page.locator("#documents .name")
    assert name.text_content() == path.name
    page.locator(".row-head").click()
    page.get_by_role("link", name="Read").click()
    page.locator("#source-body .passage").get_by_text("<script>").wait_for()
    page.goto("/#/ask")
    turn = ask(page, f"How many hours may be saved on the time account? {HOSTILE}")
    turn.locator("button.chip").first.click()
    page.locator("#source-body mark").wait_for()
    assert page.locator("#source-body mark").inner_text().startswith("Up to 60 hours")
    assert page.title() == "Ask – Citebound"
    assert page.locator("article img, article script, #source script, #source img").count() == 0


def test_a_document_opens_by_its_address_and_pages_are_turned(visit: Visit, site: httpx.Client) -> None:
    document = site.get("/v1/documents?collection=handbook").json()["data"][0]
    page = visit(f"/#/doc/{document['document_id']}/page/3", forgive=("404",))
    page.get_by_alt_text("Page 3 of employee-handbook.pdf").wait_for()
    page.get_by_role("button", name="Next page").click()
    page.get_by_alt_text("Page 4 of employee-handbook.pdf").wait_for()
    assert page.url.endswith("/page/4")
    page.get_by_role("button", name="Text", exact=True).click()
    page.locator(".passage").get_by_text("Safety in the factory").wait_for()
    page.goto("/#/doc/doc_unknown/page/1")
    page.get_by_text("This document does not exist").wait_for()


def test_replacing_keeps_the_id_and_marks_old_answers(
    visit: Visit, ask: Ask, site: httpx.Client, upload: Upload, tmp_path: Path
) -> None:
    path = tmp_path / "account.txt"
    path.write_text("Up to 60 hours may be saved on the time account.", encoding="utf-8")
    upload(site, path, "changing")
    page = visit(collection="changing")
    ask(page, "How many hours may be saved on the time account?")
    page.click("#nav [data-view=library]")
    document = row(page, "account.txt")
    document.locator(".row-head").click()
    document.get_by_role("button", name="Replace").click()
    path.write_text("Up to 70 hours may be saved on the time account.", encoding="utf-8")
    page.set_input_files("#replace-file", path)
    page.locator("#replace-dialog").get_by_role("button", name="Replace").click()
    document.locator(".inside").get_by_text("version 2").wait_for()
    page.reload()
    page.click("#nav [data-view=ask]")
    page.get_by_text("A cited document was replaced or deleted since").wait_for()


def test_many_documents_come_a_page_at_a_time(visit: Visit, site: httpx.Client) -> None:
    (like,) = site.get("/v1/documents?collection=handbook").json()["data"][:1]
    n_documents, asked = 5000, []

    def answer(route: Any) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        first, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        asked.append(first)
        data = [
            {**like, "document_id": f"doc_{n}", "name": f"Report {n:04d} {'long ' * 40}.pdf", "collection": "many"}
            for n in range(first, min(first + limit, n_documents))
        ]
        following = str(first + limit) if first + limit < n_documents else None
        route.fulfill(body=json.dumps({"data": data, "next_cursor": following, "count": n_documents}))

    page = visit("about:blank")
    page.route("**/v1/documents?*", answer)
    page.goto("/")
    page.evaluate("localStorage['citebound-collection'] = '\"many\"'")
    page.goto("/#/library")
    page.reload()
    page.locator("#library-count").get_by_text("5,000 documents").wait_for()
    assert len(set(asked)) <= 2
    for _ in range(6):
        before = page.locator("#documents > li").count()
        page.mouse.wheel(0, 100_000)
        page.locator("#documents > li").nth(before).wait_for(state="attached")
    shown = page.locator("#documents .name").all_text_contents()
    assert len(shown) == len(set(shown)) >= 300
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
