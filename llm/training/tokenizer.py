"""A tokenizer of one's own: byte-level BPE (Sennrich et al., 2016; on bytes as Radford et al., 2019).

Beginning with the 256 bytes, the most frequent pair of neighbouring symbols inside a word becomes a new symbol, until
the vocabulary is full. No text is unknown to it. Digits stand alone, so that numbers are spelled and not memorized.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import InvalidTrainingDataError
from llm.training.corpus import read_pieces

END_OF_TEXT, START_OF_TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_SPECIAL = (END_OF_TEXT, START_OF_TURN, END_OF_TURN)
_N_BYTES = 256
_HELD_OUT_EVERY = 20  # of the pieces, one is kept for the compression figure
_CURVE_BYTES = 1 << 19  # of the measured text, read once for each size of the curve

CHAT_TEMPLATE = (  # ChatML, as the default decoder's
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """What decides the tokenizer besides the texts. Nothing in it is random."""

    vocabulary: int = 8192  # tokens, the 256 bytes and 3 special ones included
    min_frequency: int = 2  # of a pair that becomes a token
    max_context: int = 2048  # tokens that a model made with it reads at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How short the tokenizer makes text."""

    vocabulary: int  # tokens it has: fewer than asked for if the texts have no more frequent pairs
    n_bytes: int  # of the text that was measured, UTF-8
    n_tokens: int
    held_out: bool  # measured on text that was not trained on
    # (tokens, bytes a token) of its first tokens alone, on the beginning of the text
    curve: tuple[tuple[int, float], ...]

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes that a token stands for, on average."""
        return self.n_bytes / self.n_tokens


def train_tokenizer(
    files: Sequence[Path], *, out: Path, config: TokenizerConfig, show_progress: bool = False
) -> Compression:
    """Train on `files` and write `out` as a folder that transformers loads, chat template included.

    The same files in the same order give the same bytes.

    Raises:
        InvalidTrainingDataError: there is no text, or the vocabulary is too small.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if config.vocabulary < _N_BYTES + len(_SPECIAL):
        raise InvalidTrainingDataError(f"a vocabulary has at least {_N_BYTES + len(_SPECIAL)} tokens; ask for more")
    n_pieces = sum(1 for _ in read_pieces(files))
    if n_pieces == 0:
        raise InvalidTrainingDataError("the files hold no text to learn from")
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_frequency,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=show_progress,
    )
    inner.train_from_iterator(_texts(files, held_out=False), trainer)
    held_out = n_pieces >= _HELD_OUT_EVERY
    n_bytes = n_tokens = 0
    beginning: list[str] = []
    for text in _texts(files, held_out=held_out):
        if n_bytes < _CURVE_BYTES:
            beginning.append(text)
        n_bytes += len(text.encode())
        n_tokens += len(inner.encode(text).ids)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        model_max_length=config.max_context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(out)
    return Compression(
        vocabulary=inner.get_vocab_size(),
        n_bytes=n_bytes,
        n_tokens=n_tokens,
        held_out=held_out,
        curve=_curve(inner, beginning),
    )


def _curve(inner: Any, texts: Sequence[str]) -> tuple[tuple[int, float], ...]:
    """What the first tokens alone make of `texts`: bytes first, then twice as many each time, then all."""
    from tokenizers import Tokenizer

    n_all = inner.get_vocab_size()
    n_first = _N_BYTES + len(_SPECIAL)
    sizes = [n_first]
    while sizes[-1] * 2 < n_all:
        sizes.append(sizes[-1] * 2)
    whole = json.loads(inner.to_str())
    n_bytes = sum(len(text.encode()) for text in texts)
    points = []
    for size in dict.fromkeys([*sizes, n_all]):
        vocabulary = {token: number for token, number in whole["model"]["vocab"].items() if number < size}
        model = whole["model"] | {"vocab": vocabulary, "merges": whole["model"]["merges"][: size - n_first]}
        cut = Tokenizer.from_str(json.dumps(whole | {"model": model}))
        points.append((size, n_bytes / sum(len(cut.encode(text).ids) for text in texts)))
    return tuple(points)


def _texts(files: Sequence[Path], *, held_out: bool) -> Iterator[str]:
    for number, piece in enumerate(read_pieces(files), start=1):
        if (number % _HELD_OUT_EVERY == 0) == held_out:
            yield piece.text
