"""What becomes of a draft: it is attributed, judged, held against policy and confidence, and cited."""

import dataclasses
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from llm.types import Cancel
from rag.answer_types import AnswerEvent, AskRequest, Cited, Drafted, Verified, search_query
from rag.attribution import Attributor
from rag.citations import CitedText, Draft, Finding, read_draft, write_citations
from rag.confidence import signals_of
from rag.elsewhere import Corpus, check_closed_book
from rag.gate import apply_policy, gate
from rag.generate import Written
from rag.pipeline import Pipeline
from rag.prompt import Prompt
from rag.types import Answer, Claim, Hit
from rag.verify.types import Judge


def timed(answer: Answer, **seconds: float | None) -> Answer:
    """`answer` with those of the times that are known."""
    taken = {name: value for name, value in seconds.items() if value is not None}
    return dataclasses.replace(answer, timings=dataclasses.replace(answer.timings, **taken))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of a draft."""

    answer: Answer
    is_supported: bool  # though it may be withheld for other reasons


@dataclass(frozen=True, slots=True)
class DraftCheck:
    """What happens to a draft: it is attributed, judged, held against the policy and the confidence, and cited."""

    request: AskRequest
    pipeline: Pipeline
    prompt: Prompt
    cancel: Cancel
    is_shown: bool = field(kw_only=True)  # whether the draft was told while it was written

    def finish(self, answer: Answer, written: Written) -> Generator[AnswerEvent, None, Checked]:
        """What the draft becomes; where it may not be shown, `answer`, which abstains, with what is known of it."""
        draft = read_draft(written.text, len(self.prompt.passages))
        findings = self._attribute(draft)
        if self._judge is not None:
            started = time.perf_counter()
            findings = self._verify(findings, self._judge)
            seconds = (answer.timings.verify_seconds or 0.0) + time.perf_counter() - started
            answer = timed(answer, verify_seconds=seconds)
        kept, removed = apply_policy(self.request.policy, findings, cites=not self._closed)
        confidence = self._confidence(kept, answer.retrieved, written)
        answer = dataclasses.replace(
            answer, invalid_markers=draft.invalid_markers, removed=removed, confidence=confidence
        )
        is_supported = self._is_supported(kept)
        if written.abstains or not is_supported or self._is_too_unsure(confidence):
            return Checked(answer=answer, is_supported=is_supported)
        cited = write_citations(kept, self.prompt.passages, self.pipeline.locate)
        claims, elsewhere_seconds = yield from self._tell(kept, cited, answer.retrieved)
        n_supported = sum(claim.verdict == "supported" for claim in claims)
        finished = dataclasses.replace(
            timed(answer, elsewhere_seconds=elsewhere_seconds),
            text=cited.text,
            abstained=False,
            citations=cited.citations,
            claims=claims,
            faithfulness=n_supported / len(claims) if claims and not self._closed else None,
        )
        return Checked(answer=finished, is_supported=True)

    @property
    def _closed(self) -> bool:
        return self.request.mode == "closed_book"

    @property
    def _judge(self) -> Judge | None:
        return self.pipeline.judge if self.request.verify else None

    def _attribute(self, draft: Draft) -> tuple[Finding, ...]:
        """Quotes for every sentence; none where the decoder was shown nothing."""
        threshold = self.pipeline.settings.citation_threshold
        attributor = Attributor(self.request.question, self.prompt.passages, threshold=threshold)
        return tuple(
            Finding(sentence=sentence, attributed=attributor.attribute(sentence.text, sentence.written))
            for sentence in draft.sentences
        )

    def _verify(self, findings: Sequence[Finding], judge: Judge) -> tuple[Finding, ...]:
        """Judge what every sentence claims: against the prompt's passages, or, closed book, against the collection."""
        if self._closed:
            return check_closed_book(findings, self._question, self._corpus(judge), cancel=self.cancel)
        return gate(findings, self._question, self.prompt.passages, judge, cancel=self.cancel)

    @property
    def _question(self) -> str:
        """What claims are read together with: a follow-up with the question before it."""
        return search_query(self.request.question, self.request.history)

    def _corpus(self, judge: Judge) -> Corpus:
        return Corpus(retriever=self.pipeline.retriever, collection=self.request.collection, judge=judge)

    def _confidence(self, kept: Sequence[Finding], hits: Sequence[Hit], written: Written) -> float | None:
        if self._closed or not kept:
            return None
        if written.is_reply:  # what the decoder thought of its own words says nothing about these
            return min((finding.verdict.score for finding in kept if finding.verdict is not None), default=None)
        signals = signals_of(
            kept,
            hits,
            token_probability=written.token_probability,
            abstention_probability=written.abstention_probability,
            text=written.text,
        )
        return self.pipeline.confidence.estimate(signals)

    def _is_supported(self, kept: Sequence[Finding]) -> bool:
        """Whether something supports what is kept; closed book, whether anything is."""
        return any(finding.attributed.quotes or self._closed for finding in kept)

    def _is_too_unsure(self, confidence: float | None) -> bool:
        """Whether the confidence does not suffice; closed book there is none."""
        least = self.request.abstain_below
        least = self.pipeline.settings.abstain_below if least is None else least
        return least is not None and not self._closed and (confidence or 0.0) < least

    def _tell(
        self, kept: Sequence[Finding], cited: CitedText, hits: Sequence[Hit]
    ) -> Generator[AnswerEvent, None, tuple[tuple[Claim, ...], float | None]]:
        """Tell the final answer sentence by sentence; returns its claims, and how long support was sought elsewhere."""
        claims: list[Claim] = []
        seconds: float | None = None
        for finding, sentence in zip(kept, cited.sentences, strict=True):
            if not self.is_shown:
                yield Drafted(text=sentence.part)
            yield from (Cited(citation=citation) for citation in sentence.citations)
            if sentence.claim is not None:
                claim = sentence.claim
                if claim.verdict == "unsupported" and not self._closed:
                    started = time.perf_counter()
                    claim = dataclasses.replace(claim, elsewhere=self._elsewhere(finding, hits))
                    seconds = (seconds or 0.0) + time.perf_counter() - started
                claims.append(claim)
                yield Verified(claim=claim)
        return tuple(claims), seconds

    def _elsewhere(self, finding: Finding, hits: Sequence[Hit]) -> int | None:
        """A passage of the collection that supports a sentence's claim and was not retrieved for the question."""
        if self._judge is None or finding.verdict is None:
            return None
        retrieved = frozenset(hit.passage.passage_id for hit in hits)
        corpus = self._corpus(self._judge)
        return corpus.support(finding.verdict.claim, self._question, without=retrieved, cancel=self.cancel)
