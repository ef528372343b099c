import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serve import Running

Upload = Callable[..., dict[str, Any]]
Done = Callable[[httpx.Client, str], dict[str, Any]]


def post(client: httpx.Client, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    return client.post("/v1/documents", files=[("file", file) for file in files], data=fields)


def test_a_document_becomes_searchable_text(client: httpx.Client, upload: Upload, handbook: str) -> None:
    document = upload(client, "handbook.md", handbook, collection="texts", metadata='{"year": 2026}')
    assert document["status"] == "ready"
    assert document["metadata"] == {"year": 2026}
    assert document["n_passages"] >= 1
    assert document["n_pages"] is None
    path = f"/v1/documents/{document['document_id']}"
    text = client.get(f"{path}/text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "fourteen weeks" in text.text
    passages = client.get(f"{path}/passages").json()["data"]
    assert len(passages) == document["n_passages"]
    for passage in passages:
        span = passage["char_range"]
        assert text.text[span["start"] : span["end"]] == passage["text"]
        assert passage["page"] is None
    page = client.get(f"{path}/pages/1")
    assert (page.status_code, page.json()["code"]) == (404, "no_pages")


def test_the_bytes_come_back_as_an_attachment_that_no_browser_runs(client: httpx.Client, upload: Upload) -> None:
    html = b"<html><body><h1>Title</h1><script>alert(1)</script><p>Some text of a page.</p></body></html>"
    document = upload(client, "x\u202e\u201cy.html", html, collection="bytes")
    answer = client.get(f"/v1/documents/{document['document_id']}/content")
    assert answer.content == html
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_every_file_has_a_row_and_a_bad_one_harms_no_other(client: httpx.Client, done: Done) -> None:
    answer = post(
        client,
        ("one.txt", b"The first file says that the sky is blue."),
        ("empty.txt", b""),
        ("program.exe", b"MZ\x90\x00" + bytes(range(256)) * 8),
        ("two.txt", b"The second file says that grass is green."),
        collection="rows",
    )
    assert answer.status_code == 202
    rows = answer.json()["data"]
    assert [row["name"] for row in rows] == ["one.txt", "empty.txt", "program.exe", "two.txt"]
    assert [row["error"] and row["error"]["code"] for row in rows] == [None, "empty", "unsupported_type", None]
    assert [row["status"] for row in rows] == ["queued", "failed", "failed", "queued"]
    assert [row["document_id"] is None for row in rows] == [False, True, True, False]
    for row in (rows[0], rows[3]):
        assert done(client, row["document_id"])["status"] == "ready"
        job = client.get(f"/v1/jobs/{row['job_id']}").json()
        assert (job["status"], job["document_id"], job["progress"]) == ("done", row["document_id"], 1.0)


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([("empty.txt", b"")], 422, "empty"),
        ([("program.exe", b"MZ\x90\x00" + bytes(range(256)) * 8)], 415, "unsupported_type"),
        ([("empty.txt", b""), ("program.exe", b"MZ\x90\x00" + bytes(range(256)) * 8)], 422, "refused"),
        ([("empty.txt", b""), ("other.txt", b"")], 422, "empty"),
    ],
)
def test_if_every_file_is_refused_so_is_the_request(
    client: httpx.Client, files: list[tuple[str, bytes]], status: int, code: str
) -> None:
    answer = post(client, *files)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [row["name"] for row in problem["errors"]] == [name for name, _ in files]
    assert all(row["error"]["message"] for row in problem["errors"])


def test_duplicates_are_skipped_replaced_or_refused(client: httpx.Client, upload: Upload, done: Done) -> None:
    content = b"A text that is sent more than once."
    first = upload(client, "a.txt", content, collection="twice")
    skipped = post(client, ("b.txt", content), collection="twice").json()["data"][0]
    assert skipped == {
        "document_id": first["document_id"],
        "name": "b.txt",
        "status": "ready",
        "job_id": None,
        "duplicate_of": first["document_id"],
        "error": None,
    }
    refused = post(client, ("b.txt", content), collection="twice", on_duplicate="error")
    assert refused.status_code == 409
    assert refused.json()["code"] == "duplicate"
    assert refused.json()["errors"][0]["duplicate_of"] == first["document_id"]
    replaced = post(client, ("b.txt", content), collection="twice", on_duplicate="replace").json()["data"][0]
    assert replaced["document_id"] == first["document_id"]
    assert done(client, first["document_id"])["version"] == 2
    elsewhere = post(client, ("a.txt", content), collection="twice too").json()["data"][0]
    assert elsewhere["document_id"] != first["document_id"]


def test_a_new_version_keeps_the_id_and_the_old_text(client: httpx.Client, upload: Upload, done: Done) -> None:
    document = upload(client, "plan.txt", "The meeting is on Monday.", collection="versions")
    path = f"/v1/documents/{document['document_id']}"
    answer = client.put(f"{path}/content", content=b"The meeting is on Friday.", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 202
    assert answer.json()["version"] == 2
    assert client.get(f"/v1/jobs/{answer.json()['job_id']}").status_code == 200
    assert done(client, document["document_id"])["live_version"] == 2
    assert client.get(f"{path}/text").text == "The meeting is on Friday."
    assert client.get(f"{path}/text", params={"version": 1}).text == "The meeting is on Monday."
    assert client.get(f"{path}/content", params={"version": 1}).content == b"The meeting is on Monday."
    form = client.put(f"{path}/content", files={"file": ("renamed.txt", b"The meeting is on Sunday.")})
    assert form.status_code == 202
    assert done(client, document["document_id"])["name"] == "renamed.txt"
    hits = client.post("/v1/search", json={"query": "meeting", "collection": "versions"}).json()["hits"]
    assert [hit["text"] for hit in hits] == ["The meeting is on Sunday."]
    for wrong in (0, 4, "x", 2**63):
        assert client.get(f"{path}/text", params={"version": wrong}).status_code in (404, 422)
    assert client.put(f"{path}/content", content=b"").json()["code"] == "empty"
    two = client.put(f"{path}/content", files=[("file", ("a", b"x")), ("file", ("b", b"y"))])
    assert two.status_code == 422


def test_lists_are_filtered_sorted_and_paged(client: httpx.Client, upload: Upload) -> None:
    for name in ("beta.txt", "alpha.txt", "gamma.txt"):
        upload(client, name, f"This is the file {name}.", collection="listed")
    query = {"collection": "listed", "sort": "name", "limit": 2}
    page = client.get("/v1/documents", params=query).json()
    assert [row["name"] for row in page["data"]] == ["alpha.txt", "beta.txt"]
    assert page["count"] == 3
    rest = client.get("/v1/documents", params={**query, "cursor": page["next_cursor"]}).json()
    assert [row["name"] for row in rest["data"]] == ["gamma.txt"]
    assert rest["next_cursor"] is None
    assert client.get("/v1/documents", params={"collection": "listed", "q": "ALPH"}).json()["count"] == 1
    assert client.get("/v1/documents", params={"collection": "listed", "status": "failed"}).json()["count"] == 0
    collections = {row["name"]: row for row in client.get("/v1/collections").json()["data"]}
    assert collections["listed"]["n_documents"] == 3
    for wrong in (
        {"limit": 0},
        {"limit": "many"},
        {"limit": 10**9},
        {"sort": "colour"},
        {"status": "lost"},
        {"cursor": "x"},
    ):
        refused = client.get("/v1/documents", params=wrong)
        assert refused.status_code == 422, wrong
        assert refused.json()["detail"]


def test_what_cannot_be_read_fails_with_a_reason_and_can_be_retried(
    client: httpx.Client, upload: Upload, done: Done
) -> None:
    document = upload(client, "broken.pdf", b"%PDF-1.7\nnothing that makes a page", collection="failing")
    assert document["status"] == "failed"
    assert document["error"]["code"]
    assert document["error"]["message"]
    path = f"/v1/documents/{document['document_id']}"
    again = client.post(f"{path}/retry")
    assert again.status_code == 202
    assert again.json()["status"] == "queued"
    assert done(client, document["document_id"])["status"] == "failed"
    assert client.post(f"{path}/cancel").status_code == 409
    fine = upload(client, "fine.txt", "Nothing is wrong with this file.", collection="failing")
    assert client.post(f"/v1/documents/{fine['document_id']}/retry").json()["code"] == "conflict"


def test_pages_have_text_and_an_image(service: Running, client: httpx.Client, upload: Upload, samples: Any) -> None:
    document = upload(client, "handbook.pdf", (samples / "employee-handbook.pdf").read_bytes(), collection="pages")
    assert document["status"] == "ready"
    assert document["n_pages"] >= 2
    path = f"/v1/documents/{document['document_id']}"
    text = client.get(f"{path}/text").text
    page = client.get(f"{path}/pages/2").json()
    assert page["page"] == 2
    assert text[page["start"] : page["end"]] == page["text"]
    assert page["width"] > 0
    image = client.get(f"{path}/pages/2.png")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    kept = service.parts.folder.cache_path / "pages" / document["document_id"]
    assert [file.name for file in kept.iterdir()] == ["1-2.png"]
    assert client.get(f"{path}/pages/2.png").content == image.content
    for wrong in ("pages/99", "pages/99.png"):
        assert client.get(f"{path}/{wrong}").status_code == 404
    for wrong in ("pages/0", "pages/x", "pages/0.png", "pages/-1", f"pages/{2**63}"):
        assert client.get(f"{path}/{wrong}").status_code == 422
    client.delete(path)
    assert not kept.exists()


def test_delete_proves_that_nothing_is_left(service: Running, client: httpx.Client, upload: Upload) -> None:
    canary = "Zyxomma is a genus of dragonflies that flies at dusk."
    document = upload(client, "dragonfly.txt", canary, collection="deleted")
    search = {"query": "Zyxomma dragonflies", "collection": "deleted"}
    assert client.post("/v1/search", json=search).json()["hits"]
    answer = client.post("/v1/ask", json={"question": "Which dragonflies fly at dusk?", "collection": "deleted"}).json()
    path = f"/v1/documents/{document['document_id']}"
    deleted = client.delete(path)
    assert deleted.status_code == 200
    assert deleted.json() == {
        "document_id": document["document_id"],
        "deleted": {"passages": 1, "vectors": 1, "files": 1},
        "remaining": 0,
    }
    assert client.post("/v1/search", json=search).json()["hits"] == []
    for gone in (path, f"{path}/text", f"{path}/content", f"{path}/passages", f"{path}/events"):
        assert client.get(gone).status_code == 404
    assert client.delete(path).status_code == 404
    stored = client.get(f"/v1/answers/{answer['answer_id']}").json()
    assert canary not in json.dumps(stored)
    assert stored["stale"] is (len(answer["citations"]) > 0)
    assert all(hit["text"] is None and hit["redacted"] for hit in stored["retrieved"])
    for file in service.parts.folder.path.rglob("*"):
        if file.is_file():
            assert b"Zyxomma" not in file.read_bytes(), file


@pytest.mark.parametrize("document_id", ["doc_unknown", "..", "a/b", "x" * 65, "%00", "ü"])
def test_an_unknown_id_is_not_found(client: httpx.Client, document_id: str) -> None:
    answer = client.get(f"/v1/documents/{document_id}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/jobs/job_unknown").status_code == 404
    assert client.get("/v1/answers/ans_unknown").status_code == 404
