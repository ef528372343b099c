import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from rag.errors import IndexMismatchError, InvalidInputError
from rag.index.faiss import FaissIndex
from rag.index.protocol import SnapshotIndex, StoredVectors

D = 8


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.standard_normal((n, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def index():
    return FaissIndex(D)


def ids(hits):
    return [hit.passage_id for hit in hits]


def test_it_is_the_protocol(index):
    checked: SnapshotIndex = index
    assert checked.passage_ids().dtype == np.int64


def test_scores_are_inner_products_best_first():
    index = FaissIndex(2)
    index.add("default", np.array([7, 3, 5]), np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32))
    hits = index.search("default", np.array([1, 0], dtype=np.float32), 2)
    assert ids(hits) == [7, 5]
    assert [hit.score for hit in hits] == pytest.approx([1.0, 0.6])


def test_k_beyond_n_an_empty_index_and_an_unknown_collection(index, rng):
    query = unit(rng, 1)[0]
    assert index.search("default", query, 5) == ()
    index.add("default", np.zeros(0, dtype=np.int64), np.zeros((0, D), dtype=np.float32))
    assert index.search("default", query, 5) == ()
    index.add("default", np.array([1, 2]), unit(rng, 2))
    assert len(index.search("default", query, 1000)) == 2
    assert index.search("other", query, 5) == ()


def test_what_is_not_finite_is_refused_and_changes_nothing(index, rng):
    vectors = unit(rng, 2)
    for number in (np.nan, np.inf, -np.inf):
        vectors[1, 3] = number
        with pytest.raises(InvalidInputError, match="not finite"):
            index.add("default", np.array([1, 2]), vectors)
        with pytest.raises(InvalidInputError, match="not finite"):
            index.search("default", vectors[1], 1)
    assert len(index.passage_ids()) == 0


def test_another_length_is_a_mismatch_that_says_what_to_do(index, rng):
    with pytest.raises(IndexMismatchError, match="citebound reindex"):
        index.add("default", np.array([1]), np.zeros((1, D + 1), dtype=np.float32))
    with pytest.raises(IndexMismatchError, match="citebound reindex"):
        index.search("default", np.zeros(D - 1, dtype=np.float32), 1)


def test_ids_and_vectors_must_be_as_many(index, rng):
    with pytest.raises(InvalidInputError, match="as many ids"):
        index.add("default", np.array([1]), unit(rng, 2))


def test_bad_k_and_bad_construction(index, rng):
    with pytest.raises(InvalidInputError, match="k must be"):
        index.search("default", unit(rng, 1)[0], 0)
    with pytest.raises(ValueError, match="at least 1"):
        FaissIndex(0)


def test_an_id_that_is_there_is_replaced(index, rng):
    vectors = unit(rng, 3)
    index.add("default", np.array([1, 2]), vectors[:2])
    index.add("other", np.array([2, 1, 2]), vectors[[0, 1, 2]])
    assert index.search("default", vectors[0], 5) == ()
    assert index.passage_ids().tolist() == [1, 2]
    assert index.search("other", vectors[2], 1)[0] == pytest.approx(index.search("other", vectors[2], 1)[0])
    assert ids(index.search("other", vectors[2], 1)) == [2]
    assert ids(index.search("other", vectors[1], 1)) == [1]


def test_equal_vectors_are_ordered_by_id(index, rng):
    vector = unit(rng, 1)
    for n in (9, 4, 7, 1, 3):
        index.add("default", np.array([n]), vector)
    assert ids(index.search("default", vector[0], 3)) == [1, 3, 4]


def test_only_allowed_passages_are_found(index, rng):
    index.add("default", np.arange(100), unit(rng, 100))
    query = unit(rng, 1)[0]
    everything = index.search("default", query, 100)
    for allowed in ([], [5], [99, 5, 5, 12345, 50], list(range(100))):
        found = index.search("default", query, 100, allowed=np.array(allowed, dtype=np.int64))
        assert ids(found) == [hit.passage_id for hit in everything if hit.passage_id in allowed]


def test_removal_counts_what_was_there(index, rng):
    index.add("default", np.arange(10), unit(rng, 10))
    assert index.remove(np.array([3, 3, 99])) == 1
    assert index.remove(np.array([3])) == 0
    assert index.remove(np.zeros(0, dtype=np.int64)) == 0
    assert index.passage_ids().tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert index.remove(np.arange(10)) == 9
    assert index.search("default", unit(rng, 1)[0], 5) == ()


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["a", "b"]), st.lists(st.integers(0, 40), min_size=1, max_size=12)),
        max_size=12,
    ),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_any_order_of_changes_equals_brute_force(changes, seed):
    rng = np.random.default_rng(seed)
    index, model = FaissIndex(D), {}
    for adds, collection, numbers in changes:
        if adds:
            vectors = unit(rng, len(numbers))
            index.add(collection, np.array(numbers), vectors)
            model.update({n: (collection, vector) for n, vector in zip(numbers, vectors, strict=True)})
        else:
            assert index.remove(np.array(numbers)) == len(set(numbers) & set(model))
            for n in numbers:
                model.pop(n, None)
    assert index.passage_ids().tolist() == sorted(model)
    query = unit(rng, 1)[0]
    for collection in ("a", "b"):
        expected = {n: float(vector @ query) for n, (where, vector) in model.items() if where == collection}
        found = index.search(collection, query, 100)
        assert {hit.passage_id: hit.score for hit in found} == pytest.approx(expected, abs=1e-6)
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_many_small_additions_find_the_same_as_one_large(index, rng):
    vectors, query = unit(rng, 300), unit(rng, 1)[0]
    for n in range(300):
        index.add("default", np.array([n]), vectors[n : n + 1])
    whole = FaissIndex(D)
    whole.add("default", np.arange(300), vectors)
    assert ids(index.search("default", query, 300)) == ids(whole.search("default", query, 300))
    assert len(index._collections["default"]) <= 9  # log2(300) segments at most


def test_a_snapshot_gives_the_same_hits(index, rng, tmp_path):
    index.add("default", np.arange(50), unit(rng, 50))
    index.add("ünï", np.arange(60, 70), unit(rng, 10))
    index.remove(np.array([7]))
    digest = index.write_snapshot(tmp_path / "dense")
    assert len(digest) == 64
    other = FaissIndex(D)
    other.add("stale", np.array([1]), unit(rng, 1))
    other.read_snapshot(tmp_path / "dense")
    query = unit(rng, 1)[0]
    for collection in ("default", "ünï", "stale"):
        assert other.search(collection, query, 100) == index.search(collection, query, 100)
    assert other.passage_ids().tolist() == index.passage_ids().tolist()
    tensors = load_file(tmp_path / "dense")  # the file is what it says it is
    assert sum(len(tensor) for name, tensor in tensors.items() if name.startswith("ids.")) == 59


def test_an_empty_index_has_a_snapshot_too(index, tmp_path):
    index.write_snapshot(tmp_path / "dense")
    index.read_snapshot(tmp_path / "dense")
    assert len(index.passage_ids()) == 0


def test_a_snapshot_of_another_length_is_a_mismatch(index, rng, tmp_path):
    index.add("default", np.array([1]), unit(rng, 1))
    index.write_snapshot(tmp_path / "dense")
    with pytest.raises(IndexMismatchError, match="citebound reindex"):
        FaissIndex(D + 1).read_snapshot(tmp_path / "dense")


def test_a_damaged_snapshot_is_refused_and_changes_nothing(index, rng, tmp_path):
    path = tmp_path / "dense"
    index.add("default", np.arange(20), unit(rng, 20))
    index.write_snapshot(path)
    whole = path.read_bytes()
    damaged = [whole[:cut] for cut in (0, 4, 8, 60, len(whole) - 1)]
    damaged.append((2**62).to_bytes(8, "little") + whole[8:])  # a header longer than memory
    damaged.append(whole.replace(b"citebound-vectors-1", b"citebound-vectors-9"))
    damaged.append(whole.replace(b"[20, 8]", b"[90, 8]"))
    damaged.append(whole[:-4] + np.array([np.nan], dtype="<f4").tobytes())
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(InvalidInputError):
            index.read_snapshot(path)
    save_file({"ids.0": np.arange(3)}, path, {"format": "citebound-vectors-1", "dimension": "8", "collections": "5"})
    with pytest.raises(InvalidInputError):
        index.read_snapshot(path)
    assert len(index.passage_ids()) == 20


def test_replace_all_is_seen_whole(index, rng):
    index.add("default", np.arange(5), unit(rng, 5))

    def parts():
        yield StoredVectors("default", np.array([10]), unit(rng, 1))
        assert index.passage_ids().tolist() == [0, 1, 2, 3, 4]
        yield StoredVectors("b", np.array([11]), unit(rng, 1))

    index.replace_all(parts())
    assert index.passage_ids().tolist() == [10, 11]


def test_readers_never_see_half_a_change_while_a_writer_writes(rng):
    """Every round adds ten passages and removes ten older ones; a search for all sees whole rounds only."""
    index = FaissIndex(D)
    vectors, query = unit(rng, 4000), unit(rng, 1)[0]
    index.add("default", np.arange(100), vectors[:100])
    failures: list[object] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                found = sorted(ids(index.search("default", query, 10_000)))
                if len(found) not in (100, 110) or found != list(range(found[0], found[0] + len(found))):
                    failures.append(found)
                    return
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for start in range(100, 4000, 10):
        index.add("default", np.arange(start, start + 10), vectors[start : start + 10])
        index.remove(np.arange(start - 100, start - 90))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert index.passage_ids().tolist() == list(range(3900, 4000))
