"""Answers a question from the documents: retrieve → prompt → generate → cite → verify.

Nothing retrieved supports an answer: then the answer is the abstention sentence, whatever the decoder wrote.
"""

import dataclasses
import datetime
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from llm.types import Cancel, Decoder, Message, Reluctance
from rag.answer_types import (
    Answered,
    AnswerEvent,
    AnswerSettings,
    AskRequest,
    Cited,
    Drafted,
    Retrieved,
    Search,
    Verified,
)
from rag.attribution import Attributor
from rag.citations import CitedText, Draft, Finding, Locate, read_draft, write_citations
from rag.confidence import ConfidenceModel, load_confidence, signals_of
from rag.draft import is_abstention
from rag.elsewhere import Corpus, check_closed_book
from rag.gate import apply_policy, gate
from rag.generate import Written, carried_by, prompt_for, shown_by, write_draft
from rag.prompt import NOT_IN_DOCUMENTS, NOT_KNOWN, Prompt
from rag.prompt_passage import Neighbour
from rag.rerank.reorder import RerankedSearch, Reranker
from rag.types import Answer, Claim, Hit, Timings, Trace, Usage
from rag.verify.types import Judge

_MAX_QUERY_HISTORY_CHARS = 600  # of the question before a follow-up

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What questions are answered with, the same for every question."""

    retriever: Search
    decoder: Decoder
    judge: Judge | None = None  # None: nothing is verified
    reranker: Reranker | None = None  # of the hits for the question; None: they stay as the retriever has them
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    neighbour: Neighbour | None = None  # gives cut-off passages their context (see `build_prompt`)
    locate: Locate | None = None  # gives citations pages and boxes; without it they have the pages of the passage
    confidence: ConfidenceModel = field(default_factory=load_confidence)


def answer_question(
    request: AskRequest,
    pipeline: Pipeline,
    *,
    answer_id: str,
    now: datetime.datetime,
    cancel: Cancel | None = None,
) -> Answer:
    """The last event of `stream_answer`, which takes the same arguments and raises the same errors."""
    events = stream_answer(request, pipeline, answer_id=answer_id, now=now, cancel=cancel)
    return next(event.answer for event in events if isinstance(event, Answered))


def stream_answer(
    request: AskRequest,
    pipeline: Pipeline,
    *,
    answer_id: str,
    now: datetime.datetime,
    cancel: Cancel | None = None,
) -> Iterator[AnswerEvent]:
    """Answer `request`, telling what happens: Retrieved, Drafted …, then a sentence Cited … and Verified, Answered.

    With a judge, if the request asks for it, every sentence is judged against the passages of the prompt, and its
    citations stand, move or go accordingly (see `rag.gate`). A closed-book answer is shown nothing: its claims are
    judged against what the collection holds on each, and its faithfulness is None. Closing the iterator, or `cancel`,
    stops the decoder.

    The answer's `confidence` is that of `rag.confidence`; it is None in closed-book mode and where nothing was
    written. Under the policy `strict` no draft is shown: each sentence is told once it is known to stay.

    Raises:
        InvalidInputError: the question (or the evidence given with it) exceeds `prompt_tokens`.
        PromptTooLongError: the prompt and `max_new_tokens` exceed the decoder's context.
        CancelledError: `cancel` was set.
    """
    cancel, decoder = cancel or Cancel(), pipeline.decoder
    started = time.perf_counter()
    answer = _abstaining(request, answer_id, now)  # until something supports an answer
    found = _retrieve(request, pipeline)
    answer = _timed(dataclasses.replace(answer, retrieved=found.hits), retrieve_seconds=found.seconds)
    trace, shown = None, None
    yield found
    cancel.raise_if_set()

    if request.mode == "closed_book" or request.evidence or found.hits:
        prompt = prompt_for(request, found.hits, decoder, pipeline.neighbour, pipeline.settings.demonstrations)
        answer = dataclasses.replace(answer, dropped=prompt.dropped, carried=carried_by(prompt))
        if request.mode == "closed_book" or prompt.passages:
            written = yield from write_draft(
                prompt,
                request.sampling,
                decoder,
                max_sentences=pipeline.settings.max_sentences,
                reluctance=None
                if request.mode == "closed_book"  # nothing holds what it says there against evidence afterwards
                else Reluctance(text=NOT_IN_DOCUMENTS, least_probability=pipeline.settings.sure_abstention),
                show=request.policy == "flag",
                cancel=cancel,
            )
            trace = Trace(model=decoder.info.full_name, messages=prompt.messages, token_ids=written.token_ids)
            shown = shown_by(prompt, found.hits)
            answer = _with_costs(answer, written, decoder)
            if not is_abstention(written.text):
                answer = yield from _Check(request, pipeline, prompt, cancel).finish(answer, written)

    answer = _timed(answer, total_seconds=time.perf_counter() - started)
    _log.info(
        "answered",
        answer_id=answer_id,
        abstained=answer.abstained,
        n_citations=len(answer.citations),
        n_invalid_markers=len(answer.invalid_markers),
        seconds=round(answer.timings.total_seconds, 3),
    )
    yield Answered(answer=answer, trace=trace, shown=shown)


def _abstaining(request: AskRequest, answer_id: str, now: datetime.datetime) -> Answer:
    """The answer that says that there is none."""
    return Answer(
        answer_id=answer_id,
        question=request.question,
        mode=request.mode,
        collection=request.collection,
        text=NOT_KNOWN if request.mode == "closed_book" else NOT_IN_DOCUMENTS,
        abstained=True,
        citations=(),
        invalid_markers=(),
        claims=(),
        removed=(),
        faithfulness=None,
        confidence=None,
        retrieved=(),
        dropped=(),
        model=None,
        usage=Usage(),
        timings=Timings(),
        created_at=now,
    )


def _retrieve(request: AskRequest, pipeline: Pipeline) -> Retrieved:
    """The hits for the question; none where nothing is to be searched."""
    if request.mode == "closed_book" or request.evidence is not None:
        return Retrieved(hits=(), seconds=None)
    search = pipeline.retriever
    if pipeline.reranker is not None:
        search = RerankedSearch(search, pipeline.reranker)
    found = search.search(
        search_query(request.question, request.history),
        k=request.k,
        collection=request.collection,
        metadata_filter=request.metadata_filter,
    )
    return Retrieved(hits=found.hits, seconds=found.seconds)


def search_query(question: str, history: Sequence[Message]) -> str:
    """What is searched for: the question, after the beginning of the last question before it if there is one.

    A follow-up ("And when did he die?") names its subject only in the question before it.
    """
    before = next((message.content for message in reversed(history) if message.role == "user"), "").strip()
    return f"{before[:_MAX_QUERY_HISTORY_CHARS]}\n{question}" if before else question


def _with_costs(answer: Answer, written: Written, decoder: Decoder) -> Answer:
    answer = dataclasses.replace(answer, model=decoder.info, usage=written.usage)
    return _timed(answer, first_token_seconds=written.first_token_seconds, generate_seconds=written.generate_seconds)


def _timed(answer: Answer, **seconds: float | None) -> Answer:
    taken = {name: value for name, value in seconds.items() if value is not None}
    return dataclasses.replace(answer, timings=dataclasses.replace(answer.timings, **taken))


@dataclass(frozen=True, slots=True)
class _Check:
    """What happens to a draft: it is attributed, judged, held against the policy and the confidence, and cited."""

    request: AskRequest
    pipeline: Pipeline
    prompt: Prompt
    cancel: Cancel

    def finish(self, answer: Answer, written: Written) -> Generator[AnswerEvent, None, Answer]:
        """What the draft becomes; where nothing supports it, `answer`, which abstains, with what is known of it."""
        draft = read_draft(written.text, len(self.prompt.passages))
        findings = self._attribute(draft)
        if self._judge is not None:
            started = time.perf_counter()
            findings = self._verify(findings, self._judge)
            answer = _timed(answer, verify_seconds=time.perf_counter() - started)
        kept, removed = apply_policy(self.request.policy, findings, cites=not self._closed)
        confidence = self._confidence(kept, answer.retrieved, written)
        answer = dataclasses.replace(
            answer, invalid_markers=draft.invalid_markers, removed=removed, confidence=confidence
        )
        if not self._may_answer(kept, confidence):
            return answer
        cited = write_citations(kept, self.prompt.passages, self.pipeline.locate)
        claims, seconds = yield from self._tell(kept, cited, answer.retrieved)
        n_supported = sum(claim.verdict == "supported" for claim in claims)
        return dataclasses.replace(
            _timed(answer, elsewhere_seconds=seconds),
            text=cited.text,
            abstained=False,
            citations=cited.citations,
            claims=claims,
            faithfulness=n_supported / len(claims) if claims and not self._closed else None,
        )

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
        signals = signals_of(
            kept,
            hits,
            token_probability=written.token_probability,
            abstention_probability=written.abstention_probability,
            text=written.text,
        )
        return self.pipeline.confidence.estimate(signals)

    def _may_answer(self, kept: Sequence[Finding], confidence: float | None) -> bool:
        """Whether something supports what is kept, and the confidence suffices."""
        if self._closed:
            return bool(kept)
        least = self.request.abstain_below
        least = self.pipeline.settings.abstain_below if least is None else least
        too_low = least is not None and (confidence or 0.0) < least
        return any(finding.attributed.quotes for finding in kept) and not too_low

    def _tell(
        self, kept: Sequence[Finding], cited: CitedText, hits: Sequence[Hit]
    ) -> Generator[AnswerEvent, None, tuple[tuple[Claim, ...], float | None]]:
        """Tell the final answer sentence by sentence; returns its claims, and how long support was sought elsewhere."""
        claims: list[Claim] = []
        seconds: float | None = None
        for finding, sentence in zip(kept, cited.sentences, strict=True):
            if self.request.policy == "strict":
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
