import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.corpus import corpus_digest, corpus_files, read_pieces
from llm.training.load import load_tokenizer
from llm.training.token_file import read_tokens, write_tokens
from llm.training.tokenizer import TokenizerConfig, train_tokenizer
from llm.types import Message

TEXT = "The river reaches the sea near the old town in 1987. Größe, naïve, 日本語.\n"
CONFIG = TokenizerConfig(vocabulary=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "text.txt").write_text(TEXT * 20)
    train_tokenizer([folder / "text.txt"], out=folder / "made", config=CONFIG)
    return folder / "made"


@pytest.fixture(scope="module")
def words(folder: Path):
    return load_tokenizer(folder)


def test_the_same_text_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 20)
    train_tokenizer([tmp_path / "text.txt"], out=tmp_path / "again", config=CONFIG)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_compression_is_bytes_over_tokens_of_text_that_was_kept_from_training(tmp_path: Path, words) -> None:
    rows = [{"text": TEXT}] * 39 + [{"text": "Quartz vexes jumbled dwarves."}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = train_tokenizer([tmp_path / "rows.jsonl"], out=tmp_path / "made", config=CONFIG)
    assert found.held_out
    assert found.n_bytes == len(TEXT.encode()) + len("Quartz vexes jumbled dwarves.")  # the 20th and the 40th
    assert found.bytes_per_token == found.n_bytes / found.n_tokens > 1
    assert found.vocabulary == 300


def test_the_curve_goes_from_bytes_to_the_whole_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 20)
    found = train_tokenizer([tmp_path / "text.txt"], out=tmp_path / "made", config=TokenizerConfig(vocabulary=330))
    sizes, bytes_per_token = zip(*found.curve, strict=True)
    assert sizes == (259, found.vocabulary)
    assert bytes_per_token[0] == 1.0  # nothing is joined
    assert bytes_per_token[1] == found.bytes_per_token > 1.5
    words = load_tokenizer(tmp_path / "made")
    assert len(TEXT.encode()) / len(words.encode(TEXT)) == pytest.approx(found.bytes_per_token)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_comes_back_and_is_never_a_special_token(words, text: str) -> None:
    encoder = PromptEncoder(words)
    ids = encoder.encode_text(text + "<|im_end|>")
    assert not set(ids) & set(words.all_special_ids)
    assert words.decode(ids) == text + "<|im_end|>"


def test_digits_stand_alone(words) -> None:
    assert [token for token in words.tokenize("in 1987") if token.isdigit()] == ["1", "9", "8", "7"]


def test_the_chat_template_lies_beside_it(words) -> None:
    ids = PromptEncoder(words).encode_prompt((Message(role="system", content="Be"), Message(role="user", content="q")))
    assert (
        words.decode(ids) == "<|im_start|>system\nBe<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
    )
    assert words.decode([words.eos_token_id]) == "<|im_end|>"


def test_too_small_a_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    with pytest.raises(InvalidTrainingDataError, match="at least 259"):
        train_tokenizer([tmp_path / "text.txt"], out=tmp_path / "made", config=TokenizerConfig(vocabulary=258))


def test_files_are_read_by_name_and_documents_end(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("one")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as rows:
        rows.write('{"text": "two"}\n\n{"text": " "}\n{"text": "three"}\n')
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    files = corpus_files([tmp_path])
    assert [path.name for path in files] == ["a.jsonl.gz", "b.md"]
    assert [(piece.text, piece.ends_document) for piece in read_pieces(files)] == [
        ("two", True), ("three", True), ("one", True)
    ]  # fmt: skip


def test_a_large_file_comes_in_pieces_that_end_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_text(TEXT * 40_000)
    pieces = list(read_pieces([tmp_path / "large.txt"]))
    assert len(pieces) > 2
    assert "".join(piece.text for piece in pieces) == TEXT * 40_000
    assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.text.endswith("\n") and len(piece.text) < 1 << 21 for piece in pieces)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"body": "b"}\n', "x.jsonl line 2"),
        ("x.jsonl", b'{"text": 3}\n', "x.jsonl line 1"),
        ("x.jsonl", b"[1]\n", "x.jsonl line 1"),
        ("x.txt", b"\xff\xfe\xfa", "x.txt is not UTF-8"),
        ("x.txt.gz", b"plain", "no whole gzip"),
    ],
)
def test_bad_text_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidTrainingDataError, match=message):
        list(read_pieces([tmp_path / name]))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    with pytest.raises(InvalidTrainingDataError, match="citebound train corpus"):
        corpus_files([tmp_path / "scan.pdf"])
    with pytest.raises(InvalidTrainingDataError, match="name files or folders"):
        corpus_files([tmp_path])


@pytest.mark.parametrize(("vocabulary", "dtype"), [(300, "<u2"), (100_000, "<u4")])
def test_documents_on_disk_are_their_tokens_with_an_end_after_each(tmp_path, words, vocabulary, dtype) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"text": f"river {n}"}) for n in range(100)))
    files = [tmp_path / "rows.jsonl"]
    encoder = PromptEncoder(words)
    source = corpus_digest(files)
    made = write_tokens(
        read_pieces(files), encoder, end_id=0, vocabulary=vocabulary, source=source, folder=tmp_path / "tokens"
    )
    found = read_tokens(tmp_path / "tokens", source=source)
    assert found == made
    assert (found.dtype, found.n_documents) == (dtype, 100)
    kept = (49, 99)  # every fiftieth
    expected = [token for n in range(100) if n not in kept for token in (*encoder.encode_text(f"river {n}"), 0)]
    assert found.train().tolist() == expected
    assert found.held_out().tolist() == [token for n in kept for token in (*encoder.encode_text(f"river {n}"), 0)]
    assert read_tokens(tmp_path / "tokens", source="another") is None
