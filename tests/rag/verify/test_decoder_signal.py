import math
from collections.abc import Sequence

import pytest

from llm.scripted import ScriptedDecoder
from llm.types import Message, ScoredToken
from rag.verify.decoder_signal import Likelihood, likelihoods
from rag.verify.types import StatedClaim


def claim(text: str, question: str | None = None) -> StatedClaim:
    return StatedClaim(text=text, start=0, end=len(text), question=question)


class Copying(ScriptedDecoder):
    """A word is certain where the prompt holds it and has probability 1/e² otherwise."""

    def __init__(self) -> None:
        super().__init__(["-"])
        self.prompts: list[str] = []

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        self.prompts = ["\n".join(message.content for message in prompt) for prompt in prompts]
        rows = [[(word, 0.0 if word in shown else -2.0) for word in said.split()]
                for shown, said in zip(self.prompts, continuations, strict=True)]  # fmt: skip
        return tuple(
            tuple(ScoredToken(text=word, token_id=1, log_probability=log) for word, log in row) for row in rows
        )


def test_gains_worked_by_hand() -> None:
    decoder = Copying()
    said, bare, nothing = likelihoods(
        [claim("Zebras graze [1]."), claim("Zebras"), claim("[1]", "Zebras?")],
        [["Zebras sleep."], ["", "  "], ["x"]],
        decoder,
    )
    assert said == Likelihood(shown=(0.0, -2.0), bare=(-2.0, -2.0))
    assert (said.mean_gain, said.least_gain, said.least_shown) == (1.0, 0.0, -2.0)
    assert bare.mean_gain == 0.0
    assert (nothing.mean_gain, nothing.least_gain, nothing.least_shown) == (None, None, None)
    assert len(decoder.prompts) == 6
    assert "Zebras sleep." in decoder.prompts[0] and "Question: What is stated?" in decoder.prompts[3]
    assert "Question: Zebras?" in decoder.prompts[5]


def test_a_decoder_that_reads_nothing_gains_nothing() -> None:
    (found,) = likelihoods([claim("Zebras graze.")], [["Zebras graze."]], ScriptedDecoder(["-"]))
    assert found.mean_gain == pytest.approx(0.0) and math.isfinite(sum(found.shown))
    assert likelihoods([], [], ScriptedDecoder(["-"])) == ()
