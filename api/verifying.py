"""Any text against any evidence: split into claims, judged in a worker thread, stopped once nobody waits."""

import dataclasses
import time
from typing import Any

import anyio.to_thread

from api.parts import Parts
from api.schemas.verify import MAX_CLAIMS, VerifyIn
from llm.types import Cancel
from rag.catalog.answer_json import claim_to_json, span_to_json
from rag.elsewhere import Corpus
from rag.errors import InvalidInputError
from rag.types import Claim, Span
from rag.verify.claims import split_claims
from rag.verify.types import Judge, Judgement, StatedClaim


class Verification:
    """One text on its way. Everything it needs is checked when it is made, before it waits for its turn.

    Raises:
        NotReadyError: the verifier, or the retriever where a collection is asked, is not loaded.
    """

    def __init__(self, wanted: VerifyIn, parts: Parts) -> None:
        self._wanted, self._parts = wanted, parts
        parts.begin()
        self._judge: Judge = parts.judge.get()
        self._corpus: Corpus | None = None
        if wanted.collection is not None:
            self._corpus = Corpus(retriever=parts.retriever(), collection=wanted.collection, judge=self._judge)
        self._cancel = Cancel()

    def hang_up(self) -> None:
        """Stop as soon as possible: nobody wants the verdicts any more."""
        self._cancel.set()

    async def check(self) -> dict[str, Any]:
        """Wait for the turn, then judge in a worker thread; the caller holds a place in `parts.verifications`.

        Raises:
            CancelledError: `hang_up` was called.
            InvalidInputError: the text has more claims than are checked at once.
        """
        async with self._parts.verifications.turn():
            self._cancel.raise_if_set()
            return await anyio.to_thread.run_sync(self._work, limiter=self._parts.verification_slots)

    def _work(self) -> dict[str, Any]:
        began = time.perf_counter()
        stated = split_claims(self._wanted.text, self._wanted.question)
        if len(stated) > MAX_CLAIMS:
            raise InvalidInputError(f"text has {len(stated)} claims; send at most {MAX_CLAIMS} at once")
        rows = self._against_evidence(stated) if self._corpus is None else self._against(self._corpus, stated)
        claims = [claim for claim, _ in rows]
        seconds = time.perf_counter() - began
        self._parts.metrics.verified(claims, seconds)
        n_supported = sum(claim.verdict == "supported" for claim in claims)
        return {
            "claims": [{**claim_to_json(claim), "evidence": place} for claim, place in rows],
            "faithfulness": n_supported / len(claims) if claims else None,
            "verifier": dataclasses.asdict(self._judge.info),
        }

    def _against_evidence(self, stated: tuple[StatedClaim, ...]) -> list[tuple[Claim, dict[str, Any] | None]]:
        evidence = self._wanted.evidence or []
        judged = self._judge.judge(stated, [row.text for row in evidence], cancel=self._cancel)
        rows = []
        for claim, judgement in zip(stated, judged, strict=True):
            place = None
            if judgement.label != "unsupported" and judgement.evidence is not None:
                place = _place(evidence[judgement.evidence].id, judgement.span)
            rows.append((_claim(claim, judgement, None), place))
        return rows

    def _against(self, corpus: Corpus, stated: tuple[StatedClaim, ...]) -> list[tuple[Claim, dict[str, Any] | None]]:
        rows = []
        for claim in stated:
            found = corpus.read(claim, self._wanted.question, cancel=self._cancel)
            place = None if found.hit is None else _place(found.hit.passage.document_id, found.span)
            rows.append((_claim(claim, found.judgement, found.passage_id), place))
        return rows


def _place(name: str, span: Span | None) -> dict[str, Any] | None:
    return None if span is None else {"id": name, "char_range": span_to_json(span)}


def _claim(claim: StatedClaim, judgement: Judgement, passage_id: int | None) -> Claim:
    return Claim(
        text=claim.text,
        start=claim.start,
        end=claim.end,
        verdict=judgement.label,
        score=judgement.score,
        passage_id=passage_id,
        reasons=judgement.reasons,
    )
