from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.embed import TokenCounter
from rag.errors import NotReadyError
from rag.token_counter import FileTokenCounter, WordCounter, load_token_counter


def word_piece() -> Tokenizer:
    """A small WordPiece tokenizer that knows every letter, as BERT's does."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,[]"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "leave", "##s", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    return tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    word_piece().save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    return folder


@pytest.fixture(scope="module")
def counter(folder: Path) -> FileTokenCounter:
    return load_token_counter(folder)


def test_the_limit_leaves_room_for_the_special_tokens(folder: Path, counter: FileTokenCounter) -> None:
    assert isinstance(counter, TokenCounter)
    assert counter.max_tokens == 254
    assert load_token_counter(folder, max_tokens=10).max_tokens == 10
    for wrong in (0, 255):
        with pytest.raises(ValueError, match="1 to 254"):
            load_token_counter(folder, max_tokens=wrong)


def test_ends_are_offsets_of_code_points(counter: FileTokenCounter) -> None:
    #       leave ##s . é(=e) 中 🙂 — an unknown character is one token
    assert counter.token_ends("Leaves. é 中 🙂") == (5, 6, 7, 9, 11, 13)
    assert counter.token_ends("") == ()
    assert counter.token_ends(" \n ") == ()


def test_special_token_strings_are_plain_text(counter: FileTokenCounter) -> None:
    assert counter.token_ends("[SEP]") == (1, 2, 3, 4, 5)


def test_a_long_text_is_counted_like_its_sentences(counter: FileTokenCounter) -> None:
    sentence = "leaves are, abc 12. [x]\n"
    ends = counter.token_ends(sentence)
    n_times = 5_000
    assert counter.token_ends(sentence * n_times) == tuple(
        n * len(sentence) + end for n in range(n_times) for end in ends
    )


@given(st.text(alphabet="abs .,\n\t中é🙂[", max_size=200), st.integers(8, 20))
def test_cutting_a_text_changes_no_token(text: str, slice_chars: int) -> None:
    tokenizer = word_piece()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    words = text.split()
    assume(all(len(word) < slice_chars for word in words))  # longer ones may have to be cut
    ends = FileTokenCounter(tokenizer, max_tokens=254, slice_chars=slice_chars).token_ends(text)
    assert list(ends) == [end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets]


def test_a_run_without_spaces_can_be_cut(counter: FileTokenCounter) -> None:
    # WordPiece makes one unknown token of a word beyond 100 characters.
    ends = counter.token_ends("a" * 1_000 + " b")
    assert ends == (*range(8, 1_000, 8), 1_000, 1_002)
    huge = counter.token_ends("a" * 200_000)
    assert list(huge) == sorted(huge)
    assert huge[-1] == 200_000
    assert max(after - before for before, after in pairwise(huge)) <= 8


def test_a_folder_without_a_tokenizer_or_limit_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"tokenizer\.json"):
        load_token_counter(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(NotReadyError, match="not a tokenizer file"):
        load_token_counter(tmp_path)
    word_piece().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(NotReadyError, match="how many tokens"):
        load_token_counter(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}')
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512}')
    assert load_token_counter(tmp_path).max_tokens == 510
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(NotReadyError, match="no JSON object"):
        load_token_counter(tmp_path)


def test_words_and_punctuation_count_one_each() -> None:
    counter = WordCounter(3)
    assert isinstance(counter, TokenCounter)
    assert (counter.max_tokens, counter.token_ends("It's 5 €.")) == (3, (2, 3, 4, 6, 8, 9))
    with pytest.raises(ValueError, match="at least 1"):
        WordCounter(0)
