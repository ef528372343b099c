"""One question: from the request to the stored answer, in a worker thread that stops soon after the client is gone."""

import dataclasses
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, cast

import structlog

from api.errors import problem_of
from api.logs import frames
from api.parts import Parts
from api.schemas.requests import AskIn
from api.sse import Outbox, encode, from_thread, put
from api.turn import in_turn
from llm.errors import CancelledError, LlmError, ModelNotFoundError
from llm.types import Cancel, Decoder
from rag.answer import stream_answer
from rag.answer_types import Answered, AnswerEvent, AskRequest, Cited, Drafted, Retrieved, Verified, prompt_budget
from rag.boxes import PageLocator
from rag.catalog.answer_json import citation_to_json, claim_to_json, hit_to_json
from rag.catalog.ids import random_id
from rag.errors import CiteboundError, ConflictError, NotFoundError
from rag.filters import parse_filter
from rag.pipeline import Pipeline
from rag.prompt_passage import Evidence
from rag.retrieve import Retriever
from rag.verify.types import Judge

_log = structlog.get_logger(__name__)

Tell = Callable[[AnswerEvent], None]


def ask_request(wanted: AskIn, parts: Parts) -> AskRequest:
    """The question for `rag`, with the settings' values where the request names none."""
    given, settings = wanted.model_fields_set, parts.settings
    budget = prompt_budget(
        settings.prompt_tokens, wanted.question, evidence=wanted.evidence is not None, history=bool(wanted.turns)
    )
    return AskRequest(
        question=wanted.question,
        collection=wanted.collection,
        k=wanted.k if "k" in given else settings.k,
        metadata_filter=wanted.filter or None,
        mode=wanted.mode,
        evidence=None
        if wanted.evidence is None
        else tuple(Evidence(id=row.id, text=row.text) for row in wanted.evidence),
        history=wanted.turns,
        sampling=wanted.sampling.params(settings.max_new_tokens),
        prompt_tokens=budget if wanted.prompt_tokens is None else wanted.prompt_tokens,
        abstain_below=wanted.abstain_below,
        policy=wanted.policy,
        verify=_is_verified(wanted),
    )


def _is_verified(wanted: AskIn) -> bool:
    """Whether the answer is checked: under `strict` it is whatever `verify` says, since unchecked text is not shown."""
    return wanted.verify or wanted.policy == "strict"


class Question:
    """One question on its way. Everything it needs is checked when it is made, before it waits for its turn.

    Raises:
        NotReadyError: retriever or decoder are not loaded.
        ModelNotFoundError: the request names a model that is not the one that is loaded.
        InvalidFilterError: the filter does not parse.
    """

    def __init__(self, wanted: AskIn, parts: Parts, client: str) -> None:
        parse_filter(wanted.filter)  # now, while the status can still say so: a stream has sent its 200
        self._parts, self._client = parts, client
        self._request = ask_request(wanted, parts)
        self._retriever: Retriever = parts.retriever()
        self._decoder: Decoder = parts.decoder.get()
        self._judge: Judge | None = parts.judge.get() if _is_verified(wanted) and parts.judge.is_wanted else None
        name = self._decoder.info.name
        if wanted.model not in (None, name):
            raise ModelNotFoundError(f"this service answers with {name}; name it or leave model out")
        self._cancel = Cancel()

    def hang_up(self) -> None:
        """Stop as soon as possible: nobody wants the answer any more."""
        self._cancel.set()

    async def answer(self, tell: Tell = lambda event: None) -> dict[str, Any]:
        """Wait for the turn, answer in a worker thread, store, and return the answer as it is stored.

        Args:
            tell: Hears each event in the worker thread.

        Raises:
            CancelledError: `hang_up` was called.
        """
        n_new = self._request.sampling.max_new_tokens
        return await in_turn(self._parts, self._client, self._cancel, partial(self._work, tell), max_new_tokens=n_new)

    async def stream(self, outbox: Outbox) -> None:
        """The same as server-sent events: retrieval, drafts, citations and claims, the answer, done; or error."""
        send = from_thread(partial(put, outbox))

        def tell(event: AnswerEvent) -> None:
            body = _event(event)
            if body is not None:
                send(body)

        try:
            stored = await self.answer(tell)
        except (CiteboundError, LlmError) as error:
            put(outbox, encode("error", problem_of(error)))
        except Exception as error:
            _log.error("answer_failed", error=type(error).__name__, frames=frames(error))
            put(outbox, encode("error", problem_of(error)))
        else:
            put(outbox, encode("answer", stored))
            put(outbox, encode("done", {"answer_id": stored["answer_id"]}))

    def _work(self, tell: Tell) -> dict[str, Any]:
        parts = self._parts
        told: Answered | None = None
        goes_on = parts.settings.continue_prompts
        shown = parts.conversations.find(self._request, self._client) if goes_on else None
        request = dataclasses.replace(self._request, shown=shown)
        events = stream_answer(
            request,
            Pipeline(
                retriever=self._retriever,
                decoder=self._decoder,
                judge=self._judge,
                second_look=parts.second_look(self._judge),
                reranker=parts.reranking.usual(),
                settings=parts.answer_settings,
                neighbour=parts.catalog.passages.neighbour,
                locate=PageLocator(parts.catalog.documents),
                confidence=parts.confidence,
            ),
            answer_id=random_id("ans"),
            now=parts.now(),
            cancel=self._cancel,
        )
        try:
            # Closed at once, not when it is collected: until then it keeps the decoder from the next question.
            with closing(cast(Generator[AnswerEvent, None, None], events)):
                for event in events:
                    self._cancel.raise_if_set()
                    if isinstance(event, Answered):
                        told = event
                    tell(event)
        except NotFoundError as error:
            raise ConflictError("a document was deleted while the answer was written from it; ask again") from error
        if told is None:
            raise CancelledError("the request was cancelled")
        parts.metrics.answer(told.answer)
        parts.catalog.answers.save(told.answer, told.trace)
        if goes_on and told.shown is not None:
            parts.conversations.keep(request, self._client, told.answer.text, told.shown)
        # Read again: of a document that was deleted meanwhile, what is stored says nothing.
        return parts.catalog.answers.get(told.answer.answer_id).payload


def _event(event: AnswerEvent) -> bytes | None:
    match event:
        case Retrieved():
            hits = [hit_to_json(hit) for hit in event.hits]
            return encode("retrieval", {"hits": hits, "retrieve_seconds": event.seconds})
        case Drafted():
            return encode("token", {"text": event.text})
        case Cited():
            return encode("citation", citation_to_json(event.citation))
        case Verified():
            return encode("verification", claim_to_json(event.claim))
        case Answered():
            return None
