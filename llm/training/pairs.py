"""Preference pairs as token ids, and packed: whole pairs whose prompts begin alike share a sequence."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.packing import PackedSequence, TokenExample, pack
from llm.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """One prompt with the preferred and the other answer, as token ids; both end with the end-of-turn token."""

    chosen: TokenExample
    rejected: TokenExample


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSequence:
    """Pairs in one packed sequence: the answers are chosen, rejected, chosen, rejected, …"""

    packed: PackedSequence
    lengths: tuple[int, ...]  # targets of each answer

    @property
    def n_pairs(self) -> int:
        """Pairs in the sequence."""
        return len(self.lengths) // 2


def read_pairs(path: Path, encoder: PromptEncoder, end_id: int) -> Iterator[TokenPair]:
    """Token ids of each line `{"messages": [{"role", "content"} …], "chosen": str, "rejected": str}`.

    Raises:
        InvalidTrainingDataError: a line is not such a row; the message names it.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                turns = [Message(role=turn["role"], content=turn["content"]) for turn in row["messages"]]
                answers = [encoder.encode_text(row[name]) for name in ("chosen", "rejected")]
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidTrainingDataError(
                    f"{path.name} line {number} is no row of messages, chosen and rejected"
                ) from error
            if not turns or turns[-1].role == "assistant":
                raise InvalidTrainingDataError(f"{path.name} line {number} must end its messages with a question")
            if answers[0] == answers[1]:
                raise InvalidTrainingDataError(f"{path.name} line {number} prefers an answer over the same answer")
            prompt = tuple(encoder.encode_prompt(turns))
            chosen, rejected = (TokenExample(prompt=prompt, answer=(*answer, end_id)) for answer in answers)
            yield TokenPair(chosen=chosen, rejected=rejected)


def pack_pairs(pairs: Iterable[TokenPair], *, max_tokens: int) -> Iterator[PairSequence]:
    """Whole pairs in sequences of at most `max_tokens`; neighbours whose prompts begin alike share one.

    A pair that is longer alone is left out.
    """
    held: list[TokenExample] = []
    fitting: PackedSequence | None = None
    for pair in pairs:
        for answers in ([*held, pair.chosen, pair.rejected], [pair.chosen, pair.rejected]):
            joined = list(pack(answers, max_tokens=max_tokens))
            if len(joined) == 1 and joined[0].n_examples == len(answers):
                if fitting is not None and len(answers) == 2:
                    yield _pair_sequence(fitting, held)
                held, fitting = answers, joined[0]
                break
    if fitting is not None:
        yield _pair_sequence(fitting, held)


def _pair_sequence(packed: PackedSequence, answers: Sequence[TokenExample]) -> PairSequence:
    return PairSequence(packed=packed, lengths=tuple(len(answer.answer) for answer in answers))
