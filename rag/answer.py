"""Answers a question from the documents: retrieve → prompt → generate → cite → verify.

Nothing retrieved supports an answer: then the answer is the abstention sentence, whatever the decoder wrote.
"""

import dataclasses
import datetime
import time
from collections.abc import Generator, Iterator

import structlog

from llm.types import Cancel, Decoder, Reluctance
from rag.answer_types import (
    Answered,
    AnswerEvent,
    AskRequest,
    Retrieved,
    search_query,
)
from rag.draft import is_abstention
from rag.draft_check import DraftCheck, timed
from rag.generate import Written, carried_by, prompt_for, shown_by, write_draft
from rag.other_drafts import OtherDrafts
from rag.pipeline import Pipeline
from rag.prompt import NOT_IN_DOCUMENTS, NOT_KNOWN, Prompt
from rag.rerank.reorder import RerankedSearch
from rag.second_look import Again, may_look_again
from rag.types import Answer, Timings, Trace, Usage
from rag.yes_or_no import reply_to

_log = structlog.get_logger(__name__)


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
    written. Under the policy `strict`, and where a short draft is looked at twice, no draft is shown: each sentence is
    told once it is known to stay.

    Raises:
        InvalidInputError: the question (or the evidence given with it) exceeds `prompt_tokens`.
        PromptTooLongError: the prompt and `max_new_tokens` exceed the decoder's context.
        CancelledError: `cancel` was set.
    """
    cancel, decoder = cancel or Cancel(), pipeline.decoder
    started = time.perf_counter()
    answer = _abstaining(request, answer_id, now)  # until something supports an answer
    found = _retrieve(request, pipeline)
    answer = timed(dataclasses.replace(answer, retrieved=found.hits), retrieve_seconds=found.seconds)
    trace, shown = None, None
    yield found
    cancel.raise_if_set()

    if request.mode == "closed_book" or request.evidence or found.hits:
        prompt = prompt_for(request, found.hits, decoder, pipeline.neighbour, pipeline.settings.demonstrations)
        answer = dataclasses.replace(answer, dropped=prompt.dropped, carried=carried_by(prompt))
        if request.mode == "closed_book" or prompt.passages:
            drafting = _Drafting(request, pipeline, prompt, cancel)
            written = yield from drafting.write()
            if not is_abstention(written.text):
                answer, written = yield from drafting.check(answer, written)
            trace = Trace(model=decoder.info.full_name, messages=written.messages, token_ids=written.token_ids)
            shown = shown_by(prompt, found.hits)
            answer = _with_costs(answer, written, decoder)

    answer = timed(answer, total_seconds=time.perf_counter() - started)
    _log.info(
        "answered",
        answer_id=answer_id,
        abstained=answer.abstained,
        n_citations=len(answer.citations),
        n_invalid_markers=len(answer.invalid_markers),
        seconds=round(answer.timings.total_seconds, 3),
    )
    yield Answered(answer=answer, trace=trace, shown=shown)


class _Drafting:
    """The decoder on one prompt: what it writes, and what becomes of that."""

    def __init__(self, request: AskRequest, pipeline: Pipeline, prompt: Prompt, cancel: Cancel) -> None:
        self._request, self._pipeline, self._prompt, self._cancel = request, pipeline, prompt, cancel
        self._again: Again | None = None
        if pipeline.second_look is not None and may_look_again(request, prompt):
            self._again = Again(
                request=request,
                prompt=prompt,
                decoder=pipeline.decoder,
                look=pipeline.second_look,
                max_sentences=pipeline.settings.max_sentences,
                reluctance=self._reluctance(pipeline.settings.surest_abstention),
                sure_abstention=pipeline.settings.sure_abstention,
                cancel=cancel,
            )

    def _reluctance(self, least_probability: float) -> Reluctance | None:
        if self._request.mode == "closed_book":  # nothing holds what it says against evidence afterwards
            return None
        return Reluctance(text=NOT_IN_DOCUMENTS, least_probability=least_probability)

    def write(self) -> Generator[AnswerEvent, None, Written]:
        """The draft, or the second one where the first is looked at twice."""
        settings, again = self._pipeline.settings, self._again
        drafting = write_draft(
            self._prompt,
            self._request.sampling,
            self._pipeline.decoder,
            max_sentences=settings.max_sentences,
            reluctance=self._reluctance(settings.sure_abstention) if again is None else again.reluctance,
            show=self._request.policy == "flag",
            cancel=self._cancel,
        )
        if again is None:
            return (yield from drafting)
        written = yield from again.write(drafting)
        return written if again.shown else self._with_reply(written)

    def _with_reply(self, written: Written) -> Written:
        """With the verifier's yes or no in the draft's place, where that is no reply to such a question."""
        judge = self._pipeline.judge
        if judge is None:
            return written
        question = search_query(self._request.question, self._request.history)
        reply = reply_to(question, written.text, self._prompt.passages, judge, cancel=self._cancel)
        if reply is None:
            return written
        return dataclasses.replace(written, text=reply, abstains=False, is_reply=True)

    def check(self, answer: Answer, written: Written) -> Generator[AnswerEvent, None, tuple[Answer, Written]]:
        """What the draft becomes; where nothing supports it, what the first other one becomes that may be shown."""
        is_shown = self._request.policy == "flag" and (self._again is None or self._again.shown)
        check = DraftCheck(self._request, self._pipeline, self._prompt, self._cancel, is_shown=is_shown)
        checked = yield from check.finish(answer, written)
        if checked.is_supported or self._again is None:
            return checked.answer, written
        others, seconds = OtherDrafts(self._again, written), checked.answer.timings.verify_seconds
        for other in others:
            tried = yield from check.finish(timed(answer, verify_seconds=seconds), other)
            if not tried.answer.abstained:
                return tried.answer, other
            seconds = tried.answer.timings.verify_seconds
        return timed(checked.answer, verify_seconds=seconds), others.refused


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


def _with_costs(answer: Answer, written: Written, decoder: Decoder) -> Answer:
    answer = dataclasses.replace(answer, model=decoder.info, usage=written.usage)
    return timed(answer, first_token_seconds=written.first_token_seconds, generate_seconds=written.generate_seconds)
