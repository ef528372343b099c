"""Answers a question from the documents: retrieve → prompt → generate → cite → verify.

Nothing retrieved supports an answer: then the answer is the abstention sentence, whatever the decoder wrote.
"""

import dataclasses
import datetime
import time
from collections.abc import Generator, Iterator, Sequence

import structlog

from llm.types import Cancel, Decoder, Message
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
    Verifier,
)
from rag.attribution import Attributor
from rag.citations import Finding, Locate, read_draft, write_citations
from rag.draft import is_abstention
from rag.generate import Written, write_draft
from rag.markers import drop_markers
from rag.prompt import (
    NOT_IN_DOCUMENTS,
    NOT_KNOWN,
    Prompt,
    build_closed_book_prompt,
    build_evidence_prompt,
    build_prompt,
)
from rag.prompt_passage import Neighbour
from rag.types import Answer, Hit, Policy, Removed, Timings, Trace, Usage

_MAX_QUERY_HISTORY_CHARS = 600  # of the question before a follow-up

_log = structlog.get_logger(__name__)


def answer_question(
    request: AskRequest,
    *,
    retriever: Search,
    decoder: Decoder,
    answer_id: str,
    now: datetime.datetime,
    settings: AnswerSettings | None = None,
    neighbour: Neighbour | None = None,
    locate: Locate | None = None,
    verifier: Verifier | None = None,
    cancel: Cancel | None = None,
) -> Answer:
    """The last event of `stream_answer`, which takes the same arguments and raises the same errors."""
    events = stream_answer(
        request,
        retriever=retriever,
        decoder=decoder,
        answer_id=answer_id,
        now=now,
        settings=settings,
        neighbour=neighbour,
        locate=locate,
        verifier=verifier,
        cancel=cancel,
    )
    return next(event.answer for event in events if isinstance(event, Answered))


def stream_answer(
    request: AskRequest,
    *,
    retriever: Search,
    decoder: Decoder,
    answer_id: str,
    now: datetime.datetime,
    settings: AnswerSettings | None = None,
    neighbour: Neighbour | None = None,
    locate: Locate | None = None,
    verifier: Verifier | None = None,
    cancel: Cancel | None = None,
) -> Iterator[AnswerEvent]:
    """Answer `request`, telling what happens: Retrieved, Drafted …, Cited …, Verified …, Answered.

    `neighbour` gives cut-off passages their context (see `build_prompt`), `locate` gives citations their pages and
    boxes (without it: the pages of the passage). With `verifier`, if the request asks for it, every sentence is judged.
    Closing the iterator, or `cancel`, stops the decoder.

    The answer's `confidence` is the least attribution score of its sentences: how much of the weakest sentence the
    evidence accounts for, word by word. It is not a probability; it is None in closed-book mode and where nothing was
    written. Under the policy `strict` no draft is shown: each sentence is told once it is known to stay.

    Raises:
        InvalidInputError: the question (or the evidence given with it) exceeds `prompt_tokens`.
        PromptTooLongError: the prompt and `max_new_tokens` exceed the decoder's context.
        CancelledError: `cancel` was set.
    """
    settings, cancel = settings or AnswerSettings(), cancel or Cancel()
    started = time.perf_counter()
    answer = _abstaining(request, answer_id, now)  # until something supports an answer
    found = _retrieve(request, retriever)
    answer = dataclasses.replace(
        answer, retrieved=found.hits, timings=dataclasses.replace(answer.timings, retrieve_seconds=found.seconds)
    )
    trace = None
    yield found
    cancel.raise_if_set()

    if request.mode == "closed_book" or request.evidence or found.hits:
        prompt = _prompt(request, found.hits, decoder, neighbour)
        answer = dataclasses.replace(answer, dropped=prompt.dropped)
        if request.mode == "closed_book" or prompt.passages:
            draft = yield from write_draft(
                prompt,
                request.sampling,
                decoder,
                max_sentences=settings.max_sentences,
                show=request.policy == "flag",
                cancel=cancel,
            )
            trace = Trace(model=decoder.info.name, messages=prompt.messages, token_ids=draft.token_ids)
            answer = _with_costs(answer, draft, decoder)
            if request.mode == "closed_book":
                answer = _uncited(answer, draft.text)
            elif not is_abstention(draft.text):
                answer = yield from _cite(answer, request, draft.text, prompt, settings, locate, verifier)

    total = time.perf_counter() - started
    answer = dataclasses.replace(answer, timings=dataclasses.replace(answer.timings, total_seconds=total))
    _log.info(
        "answered",
        answer_id=answer_id,
        abstained=answer.abstained,
        n_citations=len(answer.citations),
        n_invalid_markers=len(answer.invalid_markers),
        seconds=round(total, 3),
    )
    yield Answered(answer=answer, trace=trace)


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


def _retrieve(request: AskRequest, retriever: Search) -> Retrieved:
    """The hits for the question; none where nothing is to be searched."""
    if request.mode == "closed_book" or request.evidence is not None:
        return Retrieved(hits=(), seconds=None)
    found = retriever.search(
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


def _prompt(request: AskRequest, hits: Sequence[Hit], decoder: Decoder, neighbour: Neighbour | None) -> Prompt:
    if request.mode == "closed_book":
        return build_closed_book_prompt(
            request.question,
            history=request.history,
            token_budget=request.prompt_tokens,
            count_tokens=decoder.count_prompt_tokens,
        )
    if request.evidence is not None:
        return build_evidence_prompt(
            request.question,
            request.evidence,
            history=request.history,
            token_budget=request.prompt_tokens,
            count_tokens=decoder.count_prompt_tokens,
        )
    return build_prompt(
        request.question,
        hits,
        history=request.history,
        token_budget=request.prompt_tokens,
        count_tokens=decoder.count_prompt_tokens,
        neighbour=neighbour,
    )


def _with_costs(answer: Answer, written: Written, decoder: Decoder) -> Answer:
    timings = dataclasses.replace(
        answer.timings,
        first_token_seconds=written.first_token_seconds,
        generate_seconds=written.generate_seconds,
    )
    return dataclasses.replace(answer, model=decoder.info, usage=written.usage, timings=timings)


def _uncited(answer: Answer, text: str) -> Answer:
    """A closed-book answer: nothing can be cited, and a number in brackets would point nowhere."""
    if is_abstention(text):
        return answer
    invalid = read_draft(text, 0).invalid_markers
    return dataclasses.replace(answer, text=drop_markers(text).strip(), abstained=False, invalid_markers=invalid)


def _cite(
    answer: Answer,
    request: AskRequest,
    text: str,
    prompt: Prompt,
    settings: AnswerSettings,
    locate: Locate | None,
    verifier: Verifier | None,
) -> Generator[AnswerEvent, None, Answer]:
    """Attribute and judge every sentence of `text`, apply the policy, and place the citations."""
    draft = read_draft(text, len(prompt.passages))
    attributor = Attributor(request.question, prompt.passages, threshold=settings.citation_threshold)
    findings = tuple(
        Finding(sentence=sentence, attributed=attributor.attribute(sentence.text, sentence.written))
        for sentence in draft.sentences
    )
    if verifier is not None and request.verify:
        started = time.perf_counter()
        verdicts = verifier.verify(request.question, findings, prompt.passages)
        findings = tuple(
            dataclasses.replace(finding, verdict=verdict) for finding, verdict in zip(findings, verdicts, strict=True)
        )
        timings = dataclasses.replace(answer.timings, verify_seconds=time.perf_counter() - started)
        answer = dataclasses.replace(answer, timings=timings)
    kept, removed = _apply(request.policy, findings)
    confidence = min((finding.attributed.score for finding in kept), default=None)
    answer = dataclasses.replace(answer, invalid_markers=draft.invalid_markers, removed=removed, confidence=confidence)
    supported = any(finding.attributed.quotes for finding in kept)
    too_low = request.abstain_below is not None and (confidence or 0.0) < request.abstain_below
    if not supported or too_low:
        return answer
    cited = write_citations(kept, prompt.passages, locate)
    if request.policy == "strict":
        yield from (Drafted(text=part) for part in cited.parts)
    yield from (Cited(citation=citation) for citation in cited.citations)
    yield from (Verified(claim=claim) for claim in cited.claims)
    n_supported = sum(claim.verdict == "supported" for claim in cited.claims)
    return dataclasses.replace(
        answer,
        text=cited.text,
        abstained=False,
        citations=cited.citations,
        claims=cited.claims,
        faithfulness=n_supported / len(cited.claims) if cited.claims else None,
    )


def _apply(policy: Policy, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Removed, ...]]:
    """What stays under a policy, and what goes: `flag` keeps all, `strict` only what is supported."""
    if policy == "flag":
        return tuple(findings), ()
    kept = [finding for finding in findings if _reason(finding) is None]
    removed = [
        Removed(
            text=finding.sentence.text,
            verdict=finding.verdict.label if finding.verdict else "unsupported",
            score=finding.verdict.score if finding.verdict else finding.attributed.score,
            reason=reason,
        )
        for finding in findings
        if (reason := _reason(finding)) is not None
    ]
    return tuple(kept), tuple(removed)


def _reason(finding: Finding) -> str | None:
    """Why a sentence is not supported; None where it is."""
    if finding.verdict is not None and finding.verdict.label != "supported":
        return f"judged {finding.verdict.label}"
    return None if finding.attributed.quotes else "no supporting passage"
