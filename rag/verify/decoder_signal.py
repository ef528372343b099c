"""How much the evidence raises the probability of a claim's tokens: what only a decoder that runs here can tell.

gain = (ln p(claim | question, evidence) − ln p(claim | question)) ÷ n_tokens, in nats a token, the tokens the same in
both. Above 0 the evidence makes the claim more likely. The idea is that of context-aware decoding (Shi et al., NAACL
2024) and of pointwise mutual information between claim and evidence; the length divides, since sums only grow.

Not part of any verdict: see what `benchmarks/decoder_signal.py` measured, in `docs/experiments.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm.types import Decoder, Message
from rag.markers import drop_markers, one_line
from rag.prompt import grounded_messages
from rag.prompt_passage import Evidence, from_evidence
from rag.verify.types import StatedClaim

_QUESTION = "What is stated?"  # of a claim that stands by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """The log-probability of each token of one claim, natural logarithm."""

    shown: tuple[float, ...]  # after question and evidence
    bare: tuple[float, ...]  # after the question alone; as many

    @property
    def mean_gain(self) -> float | None:
        """Nats a token that the evidence adds; None for a claim without a token."""
        return (sum(self.shown) - sum(self.bare)) / len(self.shown) if self.shown else None

    @property
    def least_gain(self) -> float | None:
        """That of the token which the evidence makes least likely; None for a claim without a token."""
        return min((shown - bare for shown, bare in zip(self.shown, self.bare, strict=True)), default=None)

    @property
    def least_shown(self) -> float | None:
        """The log-probability of the least likely token after the evidence; None for a claim without a token."""
        return min(self.shown, default=None)


def likelihoods(
    claims: Sequence[StatedClaim], evidence: Sequence[Sequence[str]], decoder: Decoder
) -> tuple[Likelihood, ...]:
    """How likely each claim is with and without the texts given for it, batched.

    Both prompts are the grounded one; the one without evidence lacks its passages. Blank texts are left out.

    Raises:
        PromptTooLongError: the evidence of a claim exceeds the decoder's context.
        UnsupportedError: the engine cannot score.
    """
    said = [one_line(drop_markers(claim.text)) for claim in claims]
    shown = [_prompt(claim, texts) for claim, texts in zip(claims, evidence, strict=True)]
    bare = [_prompt(claim, ()) for claim in claims]
    scored = [
        tuple(token.log_probability for token in tokens) for tokens in decoder.score([*shown, *bare], [*said, *said])
    ]
    pairs = zip(scored[: len(claims)], scored[len(claims) :], strict=True)
    return tuple(Likelihood(shown=with_evidence, bare=without) for with_evidence, without in pairs)


def _prompt(claim: StatedClaim, texts: Sequence[str]) -> tuple[Message, ...]:
    passages = [from_evidence(Evidence(id=str(number), text=text)) for number, text in enumerate(texts) if text.strip()]
    return grounded_messages(claim.question or _QUESTION, passages)
