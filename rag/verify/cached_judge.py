"""Remembers judgements by content, so that the same claims on the same evidence are read once."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from llm.types import Cancel
from rag.verify.digests import digest_of
from rag.verify.found_answers import QuestionReader
from rag.verify.types import Judge, Judgement, StatedClaim, VerifierInfo

MAX_JUDGEMENTS = 4096
_DIGITS = 6  # of a score: pairs read in another batch may differ in the last bits of a float


class CachedJudge:
    """A `Judge` around another one. Thread-safe.

    Keys are digests: no text is kept but the judgements' reasons, and `forget` drops those.
    """

    def __init__(self, judge: Judge, max_judgements: int = MAX_JUDGEMENTS) -> None:
        self._judge = judge
        self._max_judgements = max_judgements
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Judgement] = OrderedDict()  # least recently used first
        self._n_forgotten = 0

    @property
    def info(self) -> VerifierInfo:
        """That of the judge inside."""
        return self._judge.info

    @property
    def reader(self) -> QuestionReader | None:
        """The judge inside, where it looks questions up."""
        return self._judge if isinstance(self._judge, QuestionReader) else None

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        """What the judge inside says, its scores to six digits; it is asked only what it was not asked before.

        Raises:
            CancelledError: `cancel` was set.
        """
        of_evidence = digest_of(*evidence)
        keys = [
            digest_of(claim.text, claim.question or "", str(claim.question is None)) + of_evidence for claim in claims
        ]
        with self._lock:
            n_forgotten = self._n_forgotten
            found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: claim for key, claim in zip(keys, claims, strict=True) if key not in found}
        if new:
            judged = self._judge.judge(tuple(new.values()), evidence, cancel=cancel)
            found.update((key, _rounded(judgement)) for key, judgement in zip(new, judged, strict=True))
        with self._lock:
            if n_forgotten == self._n_forgotten:  # else what was read may have been deleted meanwhile
                for key in keys:
                    self._known[key] = found[key]
                    self._known.move_to_end(key)
                while len(self._known) > self._max_judgements:
                    self._known.popitem(last=False)
        return tuple(found[key] for key in keys)

    def forget(self) -> None:
        """Drop everything: a document was deleted, and reasons may name its words."""
        with self._lock:
            self._n_forgotten += 1
            self._known.clear()

    def __len__(self) -> int:
        """How many judgements are remembered."""
        return len(self._known)


def _rounded(judgement: Judgement) -> Judgement:
    return Judgement(
        label=judgement.label,
        score=round(judgement.score, _DIGITS),
        evidence=judgement.evidence,
        span=judgement.span,
        reasons=judgement.reasons,
    )
