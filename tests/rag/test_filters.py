import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import InvalidFilterError
from rag.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_LIST_ITEMS, parse_filter
from rag.types import Document

DOCUMENT = {
    "year": 2021,
    "rate": 1.0,
    "team": "legal",
    "tags": ["leave", "travel"],
    "draft": True,
    "owner": {"name": "Ada", "office": {"floor": 3}},
    "dotted.key": "literal",
    "gone": None,
    "date": "2024-05-01",
}


def matches(mapping, metadata=DOCUMENT):
    return parse_filter(mapping).matches(metadata)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"year": 2021},
        {"year": 2021.0},
        {"year": {"$eq": 2021}},
        {"year": {"$gte": 2021, "$lt": 2022}},
        {"year": {"$gt": 2020.5, "$lte": 2021}},
        {"year": {"$ne": 2020}},
        {"year": {"$ne": "2021"}},
        {"missing": {"$ne": 1}},
        {"missing": {"$nin": [1]}},
        {"missing": None},
        {"gone": None},
        {"missing": {"$in": [None]}},
        {"team": {"$in": ["legal", "sales"]}},
        {"team": {"$nin": ["sales"]}},
        {"tags": "travel"},
        {"tags": {"$in": ["travel"]}},
        {"tags": {"$ne": "soup"}},
        {"draft": True},
        {"owner.name": "Ada"},
        {"owner.office.floor": {"$gt": 2}},
        {"dotted.key": "literal"},
        {"date": {"$gte": "2024-01-01", "$lt": "2025-01-01"}},
        {"team": "legal", "year": 2021},
        {"$and": [{"team": "legal"}, {"year": 2021}]},
        {"$or": [{"team": "sales"}, {"year": 2021}]},
        {"$not": {"team": "sales"}},
        {"year": {"$not": {"$gt": 2021}}},
        {"year": {"$not": {"$not": {"$eq": 2021}}}},
    ],
)
def test_holds(mapping):
    assert matches(mapping)


@pytest.mark.parametrize(
    "mapping",
    [
        {"year": 2020},
        {"year": "2021"},
        {"year": {"$gt": 2021}},
        {"year": {"$gt": "2020"}},
        {"year": {"$gte": 2000, "$lt": 2021}},
        {"missing": {"$gt": 0}},
        {"missing": {"$lt": 0}},
        {"missing": 0},
        {"gone": {"$lte": 0}},
        {"draft": 1},
        {"rate": True},
        {"draft": {"$gte": 0}},
        {"team": None},
        {"team": {"$in": []}},
        {"tags": {"$nin": ["travel"]}},
        {"tags": {"$ne": "travel"}},
        {"tags": "soup"},
        {"owner": "Ada"},
        {"owner.name.first": "Ada"},
        {"team.legal": "x"},
        {"team": "legal", "year": 2020},
        {"$and": [{"team": "legal"}, {"year": 2020}]},
        {"$or": [{"team": "sales"}, {"year": 2020}]},
        {"$not": {}},
    ],
)
def test_does_not_hold(mapping):
    assert not matches(mapping)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ([], "must be an object"),
        ("year", "must be an object"),
        ({"$where": "1"}, "'\\$where' is not an operator"),
        ({"year": {"$regex": "a"}}, "'\\$regex' is not an operator on a key"),
        ({"year": {"$exists": True}}, "is not an operator on a key"),
        ({"owner": {"name": "Ada"}}, "dotted path"),
        ({"year": {}}, "names no operator"),
        ({"year": []}, "must compare with"),
        ({"year": {"$gt": [1]}}, "must compare with"),
        ({"year": {"$gt": None}}, "needs a number or a string"),
        ({"year": {"$gt": True}}, "needs a number or a string"),
        ({"year": math.nan}, "not finite"),
        ({"year": {"$in": [math.inf]}}, "not finite"),
        ({"year": 2**63}, "64 bits"),
        ({"year": {"$lt": -(2**63) - 1}}, "64 bits"),
        ({"year": "x" * 1001}, "longer than 1000"),
        ({"year": {"$in": "legal"}}, "needs a list of values"),
        ({"year": {"$in": [0] * (MAX_LIST_ITEMS + 1)}}, "at most 1000 values"),
        ({"year": {"$in": [[1]]}}, "must compare with"),
        ({"year": {"$not": 5}}, "needs an object of operators"),
        ({"$and": []}, "at least one filter"),
        ({"$or": {"a": 1}}, "needs a list"),
        ({"$and": [1]}, "must be an object"),
        ({"$not": 1}, "must be an object"),
        ({"": 1}, "1 to 64 of the characters"),
        ({"a" * 65: 1}, "1 to 64 of the characters"),
        ({"a b": 1}, "1 to 64 of the characters"),
        ({"a'; DROP TABLE documents; --": 1}, "1 to 64 of the characters"),
        ({"naïve": 1}, "1 to 64 of the characters"),
        ({"a\n": 1}, "1 to 64 of the characters"),
        ({5: 1}, "something that is not a string"),
        ({"year": {5: 1}}, "something that is not a string"),
        ({"date": datetime.date(2024, 1, 1)}, "must compare with"),
        ({"$or": [{"a": n} for n in range(MAX_CONDITIONS + 1)]}, "at most 256 conditions"),
    ],
)
def test_what_is_no_filter_is_refused_in_one_sentence(mapping, said):
    with pytest.raises(InvalidFilterError, match=said) as caught:
        parse_filter(mapping)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def nested(depth, leaf):
    return leaf if depth == 0 else {"$not": nested(depth - 1, leaf)}


def test_depth_is_bounded():
    assert parse_filter(nested(MAX_DEPTH - 1, {"year": 2021})).matches(DOCUMENT) is ((MAX_DEPTH - 1) % 2 == 0)
    with pytest.raises(InvalidFilterError, match="at most 8 deep"):
        parse_filter(nested(MAX_DEPTH, {"year": 2021}))
    condition = {"$eq": 1}
    for _ in range(MAX_DEPTH):
        condition = {"$not": condition}
    with pytest.raises(InvalidFilterError, match="at most 8 deep"):
        parse_filter({"year": condition})
    with pytest.raises(InvalidFilterError, match="at most 8 deep"):
        parse_filter(nested(100_000 // 200, {"year": 1}))


def test_numbers_that_are_none_match_nothing():
    metadata = {"year": math.nan}
    assert not matches({"year": {"$gt": 0}}, metadata)
    assert not matches({"year": {"$lte": 0}}, metadata)
    assert not matches({"year": {"$in": [0, 1]}}, metadata)


def test_built_in_keys_stand_in_where_the_metadata_lacks_them():
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    document = Document(
        document_id="d1",
        name="handbook.pdf",
        collection="default",
        media_type="application/pdf",
        n_bytes=1,
        sha256="",
        version=1,
        live_version=1,
        n_pages=None,
        n_passages=1,
        status="ready",
        progress=1.0,
        error=None,
        receipt=None,
        metadata={"media_type": "my own"},
        created_at=now,
        updated_at=now,
    )
    assert parse_filter({"document_id": {"$in": ["d1"]}}).matches_document(document)
    assert parse_filter({"document_name": "handbook.pdf"}).matches_document(document)
    assert parse_filter({"media_type": "my own"}).matches_document(document)


values = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.0, 1.0, -2.5]) | st.sampled_from(["", "a"])
metadata = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), values | st.lists(values, max_size=3) | st.dictionaries(st.just("b"), values)
)
keys = st.sampled_from(["a", "b", "a.b"])


@given(metadata, keys, values)
def test_ne_and_nin_are_the_negations(data, key, value):
    assert matches({key: {"$ne": value}}, data) is not matches({key: {"$eq": value}}, data)
    assert matches({key: {"$nin": [value]}}, data) is not matches({key: {"$in": [value]}}, data)
    assert matches({key: {"$in": [value]}}, data) is matches({key: value}, data)


@given(metadata, keys, values, keys, values)
def test_de_morgan(data, key, value, other_key, other):
    first, second = {key: value}, {other_key: other}
    either = matches({"$or": [first, second]}, data)
    assert either is not matches({"$and": [{"$not": first}, {"$not": second}]}, data)
    assert either is (matches(first, data) or matches(second, data))


@given(metadata, keys, st.integers(-5, 5))
def test_ordering_never_raises_and_agrees_with_python(data, key, bound):
    found = matches({key: {"$gte": bound}}, data)
    value = data.get(key) if "." not in key else (data["a"].get("b") if isinstance(data.get("a"), dict) else None)
    items = value if isinstance(value, list) else [value]
    assert found is any(
        isinstance(item, int | float) and not isinstance(item, bool) and item >= bound for item in items
    )


words = st.text(max_size=5) | st.sampled_from(["$and", "$or", "$not", "$in", "$gt", "a"])
json_like = st.recursive(
    values | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(json_like, metadata)
def test_anything_is_a_filter_or_refused(given_filter, data):
    try:
        parsed = parse_filter(given_filter)
    except InvalidFilterError:
        return
    assert parsed.matches(data) in (True, False)
