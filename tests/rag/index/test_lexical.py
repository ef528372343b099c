import random
import re
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import InvalidInputError, StorageError
from rag.index import lexical
from rag.index.lexical import LexicalIndex
from rag.index.protocol import StampedTextIndex

LEAVE = [
    (1, "Annual leave is thirty days a year."),
    (2, "Sick leave needs a doctor's note after three days."),
    (3, "The canteen opens at noon and serves soup."),
    (4, "Travel is paid by the company; keep the receipts."),
]


@pytest.fixture
def index(tmp_path):
    opened = LexicalIndex(tmp_path / "lexical.sqlite3")
    yield opened
    opened.close()


def ids(hits):
    return [hit.passage_id for hit in hits]


def every_byte(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_it_is_the_protocol(index):
    checked: StampedTextIndex = index
    assert checked.seq() == 0


def test_the_passage_with_more_and_rarer_words_comes_first(index):
    index.add("default", LEAVE)
    hits = index.search("default", "how many days of annual leave are there", 10)
    assert ids(hits) == [1, 2]
    assert hits[0].score > hits[1].score > 0


def test_endings_case_and_diacritics_do_not_matter(index):
    index.add("default", [(1, "Réimbursing travellers' receipts"), (2, "nothing of that kind")])
    assert ids(index.search("default", "REIMBURSED RECEIPT", 5)) == [1]


def test_collections_are_apart_and_an_unknown_one_is_empty(index):
    index.add("a", LEAVE[:2])
    index.add("b", LEAVE[2:])
    assert ids(index.search("b", "leave soup", 5)) == [3]
    assert index.search("c", "leave", 5) == ()


def test_words_are_counted_within_the_collection(index):
    index.add("a", LEAVE)
    alone = index.search("a", "leave soup", 5)
    index.add("b", [(100 + n, "soup soup soup") for n in range(50)])
    assert index.search("a", "leave soup", 5) == alone


def test_an_id_that_is_there_is_replaced_even_in_another_collection(index):
    index.add("a", [(1, "old words"), (2, "old words")])
    index.add("a", [(1, "new words"), (1, "newest words")])
    index.add("b", [(2, "other words")])
    assert ids(index.search("a", "old new", 5)) == []
    assert ids(index.search("a", "newest", 5)) == [1]
    assert ids(index.search("b", "other", 5)) == [2]
    assert index.passage_ids().tolist() == [1, 2]
    assert index.verify() == ()


def test_removal_counts_what_was_there(index):
    index.add("default", LEAVE)
    assert index.remove(np.array([4, 2, 2, 77])) == 2
    assert index.remove(np.array([2])) == 0
    assert index.remove(np.array([], dtype=np.int64)) == 0
    assert index.passage_ids().tolist() == [1, 3]
    assert ids(index.search("default", "leave receipts", 5)) == [1]


def test_only_allowed_passages_are_found(index):
    index.add("default", LEAVE)
    assert ids(index.search("default", "leave days", 5, allowed=np.array([2, 3]))) == [2]
    assert index.search("default", "leave days", 5, allowed=np.array([], dtype=np.int64)) == ()


def test_equal_scores_are_ordered_by_id(index):
    index.add("default", [(n, "the same words") for n in (5, 3, 9, 1)])
    assert ids(index.search("default", "words", 3)) == [1, 3, 5]


def test_k_below_one_is_refused(index):
    with pytest.raises(InvalidInputError, match="k must be at least 1"):
        index.search("default", "x", 0)


@pytest.mark.parametrize(
    "query",
    [
        '"annual soup"',  # as a phrase it would match nothing
        "annual AND canteen",
        "annual NOT leave",
        "NEAR(annual receipts, 1)",
        "annual + canteen",
        "-annual",
        "^annual",
        "body : annual",
        "{body} : annual",
        "- body : annual",
        "annual*",
        "(annual",
        'annual"',
        "annual' OR 1=1 --",
        "annual;DROP TABLE collections",
        "\x00annual\x00",
        "\ud800 annual",
    ],
)
def test_no_query_syntax_is_obeyed(index, query):
    index.add("default", LEAVE)
    assert 1 in ids(index.search("default", query, 10))


def test_a_prefix_star_is_not_a_prefix_query(index):
    index.add("default", LEAVE)
    assert index.search("default", "annu*", 5) == ()


@pytest.mark.parametrize("query", ["", " ", "\x00", '"', "* - ( ) ^ : ;", "\ud800", "🦆", "\u0301"])
def test_a_query_without_words_finds_nothing(index, query):
    index.add("default", LEAVE)
    assert index.search("default", query, 5) == ()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    index = LexicalIndex(tmp_path_factory.mktemp("shared") / "lexical.sqlite3")
    index.add("default", LEAVE)
    yield index
    index.close()


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_query_is_an_error(shared, query):
    assert isinstance(shared.search("default", query, 3), tuple)


def test_a_hundred_thousand_characters_are_bounded(index, monkeypatch):
    index.add("default", LEAVE)
    asked = []
    match = lexical.FtsTable.match
    monkeypatch.setattr(
        lexical.FtsTable, "match", lambda self, terms, *rest: asked.append(terms) or match(self, terms, *rest)
    )
    words = " ".join(f"w{n}" for n in range(lexical.MAX_QUERY_TERMS * 3))
    index.add("default", [(50, words)])
    assert ids(index.search("default", f"{words} " + "annual " * 20_000, 5)) == [50]
    assert len(asked[0]) == lexical.MAX_QUERY_TERMS
    assert ids(index.search("default", "soup " * 4_000 + "annual " * 10_000, 5)) == [3]  # 20,000 characters are read


def test_common_words_are_left_out_only_where_passages_are_many(index, monkeypatch):
    monkeypatch.setattr(lexical, "COMMON_AT_LEAST", 5)
    index.add("default", [(n, "common words") for n in range(1, 9)] + [(9, "rare common words"), (10, "other things")])
    assert ids(index.search("default", "common rare", 20)) == [9]
    assert len(index.search("default", "common", 20)) == 9  # it is all there is to go by


def test_scripts_without_spaces_are_searched_by_word(index):
    index.add(
        "default",
        [
            (1, "東京都の休暇は三十日です。"),
            (2, "พนักงานมีวันลาพักร้อนสามสิบวัน"),
            (3, "한국어를 배우는 학생"),
            (4, "छुट्टी के लिए आवेदन"),
            (5, "Ｆｕｌｌ　ｗｉｄｔｈ of\u00adfice ﬁle"),
        ],
    )
    assert ids(index.search("default", "休暇", 1)) == [1]
    assert ids(index.search("default", "京", 1)) == [1]
    assert ids(index.search("default", "ลาพักร้อน", 1)) == [2]
    assert ids(index.search("default", "한국", 1)) == [3]
    assert ids(index.search("default", "छुट्टी", 1)) == [4]
    assert index.search("default", "छटट", 1) == ()  # vowels are part of a word
    for query in ("full", "office", "file"):
        assert ids(index.search("default", query, 1)) == [5]


def test_pairs_rank_the_passage_with_the_word_first(index):
    index.add("default", [(1, "京大の東にある都"), (2, "東京の大学")])
    assert ids(index.search("default", "東京", 2)) == [2, 1]


def test_the_stamp_and_the_rows_come_together_or_not_at_all(tmp_path):
    path = tmp_path / "lexical.sqlite3"
    index = LexicalIndex(path)
    with index.batch(seq=7):
        index.add("default", LEAVE[:2])
        index.remove(np.array([2]))
    with pytest.raises(ZeroDivisionError), index.batch(seq=8):
        index.add("default", LEAVE[2:])
        index.remove(np.array([1]))
        raise ZeroDivisionError
    assert (index.seq(), index.passage_ids().tolist()) == (7, [1])
    index.close()
    again = LexicalIndex(path)
    assert (again.seq(), again.passage_ids().tolist()) == (7, [1])
    assert ids(again.search("default", "annual", 5)) == [1]
    again.close()


def test_batches_do_not_nest(index):
    with index.batch(seq=1), pytest.raises(RuntimeError), index.batch(seq=2):
        pass


def test_clear_and_a_fresh_start(index):
    index.add("a", LEAVE)
    index.add("b", [(9, "words")])
    with index.batch(seq=3):
        index.clear()
        index.add("a", LEAVE[:1])
    assert index.passage_ids().tolist() == [1]
    assert ids(index.search("a", "annual", 5)) == [1]


@pytest.mark.parametrize("damage", [b"not a database at all" * 300, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_begun_again(tmp_path, damage):
    path = tmp_path / "lexical.sqlite3"
    path.write_bytes(damage)
    index = LexicalIndex(path)
    assert index.seq() == 0
    index.add("default", LEAVE)
    assert ids(index.search("default", "soup", 5)) == [3]
    index.close()


def test_a_file_of_another_version_is_begun_again(tmp_path):
    path = tmp_path / "lexical.sqlite3"
    index = LexicalIndex(path)
    with index.batch(seq=5):
        index.add("default", LEAVE)
    index.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    index = LexicalIndex(path)
    assert (index.seq(), len(index.passage_ids())) == (0, 0)
    index.close()


def test_the_files_are_their_owners_alone(index, tmp_path):
    index.add("default", LEAVE)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def _letters(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("bcdfghjklmnpqrstvwxz") for _ in range(n))


def _family(rng: random.Random) -> set[str]:
    """Words with one beginning, so that a key that tells two of them apart is long."""
    stem = _letters(rng, 7)
    return {stem + _letters(rng, 5) for _ in range(60)}


def _pieces(words, length: int) -> set[str]:
    return {word[at : at + length] for word in words for at in range(len(word) - length + 1)}


def _left(folder: Path, words: set[str], length: int = 5) -> set[str]:
    """Pieces of the words that stand in any file."""
    wanted, found = _pieces(words, length), set()
    for match in re.finditer(rb"[a-z]{%d,}" % length, every_byte(folder)):
        run = match.group().decode()
        found |= wanted & {run[at : at + length] for at in range(len(run) - length + 1)}
    return found


@pytest.mark.parametrize("at_once", [1, 150])  # entry by entry, and by rewriting the table
def test_no_piece_of_a_removed_word_stays_in_the_files(index, tmp_path, at_once):
    """Words without vowels, so that nothing else spells them; many, so that some become keys of inner pages."""
    rng = random.Random(20)
    secret = {n: _family(rng) for n in range(1, 1501) if n % 10 == 0}
    words = ["leave", "annual", "company", "travel", "office", "salary", "notice"]
    for first in range(1, 1501, 100):
        index.add(
            "default",
            [
                (n, " ".join([*rng.choices(words, k=30), *sorted(secret.get(n, ())), f"number{n}"]))
                for n in range(first, first + 100)
            ],
        )
    removed = sorted(secret)
    everything = set().union(*secret.values())
    assert len(_left(tmp_path, everything)) > 10_000  # the search does find what is there
    for start in range(0, len(removed), at_once):
        assert index.remove(np.array(removed[start : start + at_once])) == len(removed[start : start + at_once])
    assert _left(tmp_path, everything) == set()
    assert index.verify() == ()
    assert len(index.passage_ids()) == 1350
    assert ids(index.search("default", "number17", 5)) == [17]


def test_the_last_passage_of_a_collection_takes_its_table_along(index, tmp_path):
    index.add("secretcollection", [(1, "zzyzxcanary words")])
    index.add("default", LEAVE)
    index.remove(np.array([1]))
    assert b"zzyzxcanary" not in every_byte(tmp_path)
    assert b"secretcollection" not in every_byte(tmp_path)


def test_a_replaced_text_leaves_no_byte(index, tmp_path):
    index.add("default", [*LEAVE, (9, "qqvwxcanary is here")])
    index.add("default", [(9, "nothing is here")])
    assert b"qqvwx" not in every_byte(tmp_path)


def test_a_full_disk_is_a_storage_error_and_nothing_is_kept(index):
    index.add("default", LEAVE)
    index._writer.pragma("max_page_count", index._writer.pragma("page_count") + 2)
    with pytest.raises(StorageError, match="disk is full"), index.batch(seq=9):
        index.remove(np.array([1]))
        index.add("default", [(n, f"word{n} " * 500) for n in range(10, 60)])
    assert (index.seq(), index.passage_ids().tolist()) == (0, [1, 2, 3, 4])
    index._writer.pragma("max_page_count", 2**30)
    index.add("default", [(10, "words")])
    assert index.verify() == ()


def test_readers_go_on_while_a_writer_writes(index, tmp_path):
    """Each batch holds one passage a writer's round; a reader must see whole rounds only."""
    failures: list[object] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                found = ids(index.search("default", "round", 1000))
                if len(found) % 3:
                    failures.append(found)
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(40):
        with index.batch(seq=number):
            for part in range(3):
                index.add("default", [(number * 3 + part, f"round {number} part {part}")])
        if number % 4 == 3:
            index.remove(np.arange(number * 3 - 9, number * 3 - 6))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(index.passage_ids()) == 90
    assert index.seq() == 39
    # Readers that never pause can hold the log through a whole removal; the next change then empties it.
    index.remove(np.array([119]))
    assert (tmp_path / "lexical.sqlite3-wal").stat().st_size == 0


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_order_of_changes_equals_a_fresh_build(tmp_path_factory, data):
    words = ["leave", "days", "soup", "travel", "note", "canary"]
    vocabulary = st.lists(st.sampled_from(words), min_size=1, max_size=6)
    folder = tmp_path_factory.mktemp("order")
    index, model = LexicalIndex(folder / "a.sqlite3"), {}
    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            passage_id, text = data.draw(st.integers(1, 6)), " ".join(data.draw(vocabulary))
            collection = data.draw(st.sampled_from(["a", "b"]))
            index.add(collection, [(passage_id, text)])
            model[passage_id] = (collection, text)
        else:
            passage_id = data.draw(st.integers(1, 6))
            assert index.remove(np.array([passage_id])) == (model.pop(passage_id, None) is not None)
    fresh = LexicalIndex(folder / "b.sqlite3")
    for passage_id, (collection, text) in sorted(model.items()):
        fresh.add(collection, [(passage_id, text)])
    for collection in ("a", "b"):
        for query in ("leave days", "soup travel note", "canary"):
            assert index.search(collection, query, 10) == fresh.search(collection, query, 10)
    assert index.passage_ids().tolist() == sorted(model)
    index.close()
    fresh.close()
