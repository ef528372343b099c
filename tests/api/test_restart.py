import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from api.connect import client_for
from api.serve import _listen, running
from api.wiring import restore_archive

Upload = Callable[..., dict[str, Any]]
SEARCH = {"query": "parental leave weeks", "collection": "kept"}


def test_what_was_kept_and_what_was_deleted_stay_so(
    make_settings: Any, ready: Any, upload: Upload, handbook: str
) -> None:
    settings = make_settings()
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        kept = upload(http, "kept.md", handbook, collection="kept")
        gone = upload(http, "gone.txt", "Parental leave lasts ninety nine weeks.", collection="kept")
        answer = http.post("/v1/ask", json={"question": "How long is parental leave?", "collection": "kept"}).json()
        http.delete(f"/v1/documents/{gone['document_id']}")
        stored = http.get(f"/v1/answers/{answer['answer_id']}").json()
        hits = http.post("/v1/search", json=SEARCH).json()["hits"]
        assert hits
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        assert http.get(f"/v1/documents/{kept['document_id']}").json() == kept
        assert http.get(f"/v1/documents/{gone['document_id']}").status_code == 404
        assert http.get(f"/v1/answers/{answer['answer_id']}").json() == stored
        assert http.post("/v1/search", json=SEARCH).json()["hits"] == hits
        with client_for(service.address, service.token) as owner:
            assert owner.get("/v1/admin/check").json()["ok"] is True


def test_the_store_works_while_a_model_is_missing(make_settings: Any, tmp_path: Path) -> None:
    settings = make_settings(embedder="all-MiniLM-L6-v2", model_cache=tmp_path / "models")
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        assert http.get("/healthz").status_code == 200
        service.parts.indexes.wait(30)
        not_ready = http.get("/readyz")
        assert (not_ready.status_code, not_ready.json()["code"]) == (503, "not_ready")
        assert "citebound models pull all-MiniLM-L6-v2" in not_ready.json()["detail"]
        sent = http.post("/v1/documents", files={"file": ("a.txt", b"Some text of a file.")})
        assert sent.status_code == 202
        document_id = sent.json()["data"][0]["document_id"]
        assert http.get(f"/v1/documents/{document_id}").json()["status"] == "queued"
        assert http.get(f"/v1/documents/{document_id}/content").content == b"Some text of a file."
        for path, body in (("/v1/search", {"query": "a"}), ("/v1/ask", {"question": "a"})):
            assert http.post(path, json=body).json()["code"] == "not_ready"
    hashing = settings.model_copy(update={"embedder": "hashing"})
    with running(hashing) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        assert _wait(http, document_id)["status"] == "ready"


def _wait(http: httpx.Client, document_id: str) -> dict[str, Any]:
    with http.stream("GET", f"/v1/documents/{document_id}/events") as stream:
        for line in stream.iter_lines():
            if '"status":"ready"' in line or '"status":"failed"' in line:
                break
    document: dict[str, Any] = http.get(f"/v1/documents/{document_id}").json()
    return document


def test_a_backup_is_restored_with_its_keys_and_answers(
    make_settings: Any, ready: Any, upload: Upload, handbook: str, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar"
    with running(make_settings()) as service, client_for(service.address, service.token) as owner:
        ready(owner)
        document = upload(owner, "kept.md", handbook, collection="kept")
        key = owner.post("/v1/keys", json={"name": "test"}).json()["key"]
        archive.write_bytes(owner.get("/v1/admin/backup").content)
    assert not list(service.parts.folder.cache_path.glob("backup-*"))
    fresh = make_settings()
    shutil.rmtree(fresh.data_dir)
    counts = restore_archive(fresh, archive)
    assert (counts["documents"], counts["files"], counts["passages"]) == (1, 1, document["n_passages"])
    with running(fresh) as service, client_for(service.address, key) as http:
        ready(http)
        assert http.get(f"/v1/documents/{document['document_id']}").json() == document
        assert http.post("/v1/search", json=SEARCH).json()["hits"]


def test_reindex_embeds_again_only_for_another_embedder(
    make_settings: Any, ready: Any, upload: Upload, handbook: str
) -> None:
    settings = make_settings()
    with running(settings) as service, client_for(service.address, service.token) as owner:
        ready(owner)
        document = upload(owner, "kept.md", handbook, collection="kept")
        hits = owner.post("/v1/search", json=SEARCH).json()["hits"]
        done = owner.post("/v1/admin/reindex").json()
        assert (done["n_passages"], done["n_embedded"]) == (document["n_passages"], 0)
        assert owner.post("/v1/search", json=SEARCH).json()["hits"] == hits
        assert owner.get("/v1/admin/check").json()["ok"] is True


def test_another_embedder_is_noticed_and_reindex_mends_it(
    make_settings: Any, ready: Any, upload: Upload, handbook: str
) -> None:
    settings = make_settings()
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        document = upload(http, "kept.md", handbook, collection="kept")
        text = http.get(f"/v1/documents/{document['document_id']}/text").text
    other = settings.model_copy(update={"embedder": "hashing-32"})
    with running(other) as service, client_for(service.address, service.token) as owner:
        service.parts.search.wait(30)
        not_ready = owner.get("/readyz")
        assert not_ready.status_code == 503
        assert "citebound reindex" in not_ready.json()["detail"]
        refused = owner.post("/v1/search", json=SEARCH)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert owner.get(f"/v1/documents/{document['document_id']}/text").text == text
        done = owner.post("/v1/admin/reindex").json()
        assert (done["n_embedded"], done["embedder"]) == (document["n_passages"], "hashing-32")
        assert owner.get("/readyz").status_code == 200
        assert owner.post("/v1/search", json=SEARCH).json()["hits"]
        assert owner.get("/v1/admin/check").json()["ok"] is True


def test_a_command_that_reads_the_catalog_loads_nothing(make_settings: Any) -> None:
    with running(make_settings(), lazy=True) as service, httpx.Client(base_url=service.address) as http:
        assert http.get("/v1/documents").status_code == 200
        assert not service.parts.begun.locked()


def test_who_reads_the_address_is_not_refused_while_the_service_starts(make_settings: Any) -> None:
    with _listen(make_settings()) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass
