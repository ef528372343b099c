"""What a verifier reads and says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llm.types import Cancel
from rag.types import Span, VerdictLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedClaim:
    """One checkable statement. `text == answer[start:end]`, markers kept out."""

    text: str
    start: int  # in the text it was taken from
    end: int
    question: str | None = None  # set where the claim says something only together with it ("308")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one piece of a verifier's reading came to."""

    label: VerdictLabel
    score: float  # 0..1: calibrated probability that the evidence supports the claim
    evidence: int | None  # index of the evidence text that decided: the best support, or what contradicts
    span: Span | None  # the sentences in that text
    reasons: tuple[str, ...] = ()  # for people: "42 is not in the evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierInfo:
    """Which verifier judges, and how well: travels with every verdict. Figures are None where nobody measured them."""

    name: str
    version: str
    threshold: float  # least score of `supported`
    balanced_accuracy: float | None = None  # on `measured_on`
    ece: float | None = None
    brier: float | None = None
    measured_on: str | None = None


@runtime_checkable
class Judge(Protocol):
    """Reads claims against evidence. Deterministic and thread-safe: the same input, the same judgements."""

    @property
    def info(self) -> VerifierInfo:
        """Name, version, threshold and measured error."""
        ...

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        """One judgement a claim, in order, over all of `evidence`; without evidence every claim is unsupported.

        Raises:
            CancelledError: `cancel` was set.
        """
        ...
