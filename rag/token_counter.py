"""Counts and places tokens without loading a model: a tokenizer.json read by the `tokenizers` library, no torch."""

import json
import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from rag.errors import NotReadyError

_WORD = re.compile(r"\w+|[^\w\s]")
# A cut before a space that follows a letter or digit never falls inside a token of the usual pre-tokenizers,
# and leaves the space where byte-level vocabularies expect it: at the head of the next word.
_SAFE_CUT = re.compile(r"(?<=[^\W_])(?=[ \n])")
_SECOND_CUT = re.compile(r"(?<=\S)(?=\s)")
_SLICE_CHARS = 16_384
# A run without a space that the vocabulary does not know is one token however long it is. It is counted once for
# each so many characters instead, so that it can be cut at all and a passage stays bounded.
_LONG_TOKEN_CHARS = 32
_LONG_TOKEN_STEP = 8


class FileTokenCounter:
    """Tokens of one model's own tokenizer. Thread-safe.

    A token that covers more than 32 characters counts once for every 8 of them, so the count is the tokenizer's
    own for ordinary text and an upper bound for runs without spaces that the vocabulary does not know.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, slice_chars: int = _SLICE_CHARS) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._slice_chars = slice_chars  # a text is tokenized in pieces of about so many characters

    @property
    def max_tokens(self) -> int:
        """Most tokens one passage may have, special tokens not included."""
        return self._max_tokens

    def token_ends(self, text: str) -> tuple[int, ...]:
        """End offset in `text`, in code points, of every token, ascending."""
        slices = _slices(text, self._slice_chars)
        ends: list[int] = []
        last = 0
        for first in range(0, len(slices), 64):
            some = slices[first : first + 64]
            encodings = self._tokenizer.encode_batch([text[start:end] for start, end in some], add_special_tokens=False)
            for (offset, _), encoding in zip(some, encodings, strict=True):
                for start, end in encoding.offsets:
                    if end - start > _LONG_TOKEN_CHARS:
                        ends.extend(range(offset + start + _LONG_TOKEN_STEP, offset + end, _LONG_TOKEN_STEP))
                    # Pieces of one character (bytes, decomposed letters) share its end; the count must keep them all.
                    last = max(last, offset + end)
                    ends.append(last)
        return tuple(ends)


class WordCounter:
    """One token a word or punctuation mark: for tests, and for a store that runs without weights."""

    def __init__(self, max_tokens: int) -> None:
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        self._max_tokens = max_tokens

    @property
    def max_tokens(self) -> int:
        """Most tokens one passage may have."""
        return self._max_tokens

    def token_ends(self, text: str) -> tuple[int, ...]:
        """End offset in `text` of every word and punctuation mark, ascending."""
        return tuple(match.end() for match in _WORD.finditer(text))


def load_token_counter(model_folder: Path, *, max_tokens: int | None = None) -> FileTokenCounter:
    """A counter over `model_folder/tokenizer.json`.

    Args:
        model_folder: a sentence-transformers or transformers model folder.
        max_tokens: most tokens of a passage; the model's own limit less its special tokens where None.

    Raises:
        NotReadyError: the folder has no readable tokenizer.json.
    """
    tokenizer = load_tokenizer(model_folder)
    room = read_sequence_limit(model_folder) - tokenizer.num_special_tokens_to_add(False)
    if max_tokens is not None and not 1 <= max_tokens <= room:
        raise ValueError(f"max_tokens must be 1 to {room}, which is what the model reads, got {max_tokens}")
    return FileTokenCounter(tokenizer, max_tokens=room if max_tokens is None else max_tokens)


def load_tokenizer(model_folder: Path) -> Tokenizer:
    """The tokenizer of a model folder: never cut, never padded, special-token strings in a text are plain text.

    Raises:
        NotReadyError: the folder has no readable tokenizer.json.
    """
    path = model_folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotReadyError(f"the embedder has no tokenizer.json in {model_folder}; pull the model again") from error
    except Exception as error:  # the library raises bare Exception for a file it cannot read
        raise NotReadyError(f"{path} is not a tokenizer file; pull the model again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def read_sequence_limit(model_folder: Path) -> int:
    """Most tokens, special ones included, that the model of `model_folder` reads at once.

    Raises:
        NotReadyError: no file of the folder names a limit.
    """
    places = (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    )
    for file_name, key in places:
        value = read_json(model_folder / file_name).get(key)
        # tokenizer_config.json says 10^30 where nobody set it.
        if isinstance(value, int) and 8 <= value <= 1_000_000:
            return value
    raise NotReadyError(f"no file in {model_folder} says how many tokens the embedder reads; pull the model again")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file.

    Raises:
        NotReadyError: the file is there but holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NotReadyError(f"{path} cannot be read; pull the model again") from error
    if not isinstance(value, dict):
        raise NotReadyError(f"{path} holds no JSON object; pull the model again")
    return value


def _slices(text: str, n_chars: int) -> list[tuple[int, int]]:
    """Ranges that cover `text`, `n_chars` to twice that each, cut where no token can be if there is such a place."""
    slices: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > 2 * n_chars:
        first, last = start + n_chars, start + 2 * n_chars
        cut = _SAFE_CUT.search(text, first, last) or _SECOND_CUT.search(text, first, last)
        end = cut.start() if cut is not None else last
        slices.append((start, end))
        start = end
    slices.append((start, len(text)))
    return slices
