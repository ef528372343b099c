import base64
import contextlib
import datetime
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.catalog.listing import Collection
from rag.errors import InvalidInputError

SORTS = [f"{sign}{name}" for name in ("created_at", "updated_at", "name", "n_bytes", "status") for sign in ("", "-")]


@pytest.fixture
def shelf(bench):
    """Seven documents with names, sizes and times that repeat."""
    for number, (name, content) in enumerate(
        [
            ("B.txt", "1"),
            ("a.txt", "22"),
            ("b.TXT", "333"),
            ("Äpfel", "4444"),
            ("a.txt", "5"),
            ("100%_x", "66"),
            ("z", "7"),
        ]
    ):
        bench.register(content + "#" * number, name=name, collection="ab"[number % 2])
    bench.publish("text")
    bench.publish("text two that is longer")
    return bench


def walk(bench, limit: int, **changes) -> list[str]:
    """Every page after another."""
    ids: list[str] = []
    cursor = None
    for _ in range(20):
        page, cursor, count = bench.catalog.documents.list(limit=limit, cursor=cursor, **changes)
        assert len(page) <= limit
        ids += [document.document_id for document in page]
        if cursor is None:
            assert len(ids) == count
            return ids
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("sort", SORTS)
def test_pages_put_together_are_the_whole_list_in_order(shelf, sort: str) -> None:
    documents, cursor, count = shelf.catalog.documents.list(sort=sort)
    assert cursor is None and count == len(documents) == 7
    for limit in (1, 2, 3, 7):
        assert walk(shelf, limit, sort=sort) == [document.document_id for document in documents]
    name = sort.removeprefix("-")
    keys = [
        (document.name.casefold() if name == "name" else getattr(document, name), document.document_id)
        for document in documents
    ]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_newest_first_unless_asked(shelf) -> None:
    documents, _, _ = shelf.catalog.documents.list()
    assert [document.name for document in documents] == ["z", "100%_x", "a.txt", "Äpfel", "b.TXT", "a.txt", "B.txt"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"collection": "b"}, ["a.txt", "Äpfel", "100%_x"]),
        ({"collection": "none"}, []),
        ({"status": "ready"}, ["B.txt", "a.txt"]),
        ({"status": "ready", "collection": "b"}, ["a.txt"]),
        ({"q": "TXT"}, ["B.txt", "a.txt", "b.TXT", "a.txt"]),
        ({"q": "äPF"}, ["Äpfel"]),
        ({"q": "%"}, ["100%_x"]),
        ({"q": "_"}, ["100%_x"]),
        ({"q": "0%_"}, ["100%_x"]),
        ({"q": "\\"}, []),
        ({"q": "' OR 1=1 --"}, []),
        ({"q": ""}, ["B.txt", "a.txt", "b.TXT", "Äpfel", "a.txt", "100%_x", "z"]),
    ],
)
def test_filters(shelf, filters, names: list[str]) -> None:
    documents, _, count = shelf.catalog.documents.list(sort="created_at", **filters)
    assert [document.name for document in documents] == names
    assert count == len(names)
    assert len(walk(shelf, 2, sort="created_at", **filters)) == len(names)


def test_a_page_follows_on_when_documents_come_and_go_between(shelf) -> None:
    first, cursor, _ = shelf.catalog.documents.list(sort="created_at", limit=3)
    shelf.catalog.documents.delete(first[1].document_id, shelf.now)
    shelf.register("new", name="new")
    second, _, count = shelf.catalog.documents.list(sort="created_at", limit=9, cursor=cursor)
    assert [document.name for document in second] == ["Äpfel", "a.txt", "100%_x", "z", "new"]
    assert count == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"sort": "size"},
        {"sort": "--name"},
        {"sort": ""},
        {"limit": 0},
        {"limit": 1001},
        {"status": "gone"},
        {"q": "a\0b"},
        {"cursor": ""},
        {"cursor": "é"},
        {"cursor": "AAAA"},
    ],
)
def test_what_cannot_be_used_is_refused(shelf, wrong) -> None:
    with pytest.raises(InvalidInputError):
        shelf.catalog.documents.list(**wrong)


def test_a_cursor_is_for_its_own_sort(shelf) -> None:
    _, cursor, _ = shelf.catalog.documents.list(sort="name", limit=1)
    with pytest.raises(InvalidInputError):
        shelf.catalog.documents.list(sort="-name", limit=1, cursor=cursor)


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.datetimes().map(datetime.datetime.isoformat)
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sort=st.sampled_from(SORTS), content=st.one_of(st.text(), st.tuples(st.sampled_from(SORTS), _VALUES, _VALUES)))
def test_a_forged_cursor_is_refused_or_harmless(bench, sort: str, content) -> None:
    raw = content if isinstance(content, str) else json.dumps(content)
    cursor = base64.urlsafe_b64encode(raw.encode("utf-8", "surrogatepass")).decode()
    with contextlib.suppress(InvalidInputError):
        assert bench.catalog.documents.list(sort=sort, cursor=cursor) == ((), None, 0)


def test_collections(shelf) -> None:
    assert shelf.catalog.documents.collections() == (
        Collection(name="a", n_documents=4, n_passages=1),
        Collection(name="b", n_documents=3, n_passages=3),
    )
