"""Chat completions: a grounded answer for the model `rag:COLLECTION`, plain chat for the decoder's own name."""

import re
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, Protocol, cast

import structlog
from pydantic import ValidationError
from starlette.requests import Request as HttpRequest

from api.answering import Question
from api.errors import describe, status_and_code
from api.logs import frames
from api.openai.errors import in_dialect
from api.openai.shapes import Done, Frame, Piece, data
from api.parts import Parts
from api.schemas.openai import ChatIn
from api.schemas.requests import AskIn
from api.sse import Outbox, from_thread, put
from api.turn import in_turn
from llm.errors import CancelledError, ModelNotFoundError, UnsupportedError
from llm.types import Cancel, Decoder, Generation, Request, Token, TokenDistribution
from rag.catalog.ids import random_id
from rag.errors import ConflictError, InvalidInputError

RAG_PREFIX = "rag:"
_WORD = re.compile(r"\s*\S+|\s+\Z")
_log = structlog.get_logger(__name__)

Tell = Callable[[Piece], None]


class Chat(Protocol):
    """One completion on its way."""

    def hang_up(self) -> None:
        """Stop as soon as possible."""
        ...

    async def write(self, tell: Tell) -> Done:
        """Wait for the turn and write; `tell` hears the text piece by piece, on the event loop."""
        ...


class GroundedChat:
    """The last message of the user as a question to a collection, the turns before it as history.

    Instructions of role `system` are not part of a grounded prompt, which has its own. Text is told once it is final:
    a client of this dialect cannot take a draft back.

    Raises:
        InvalidInputError: the last message is not a question of the user, or log-probabilities are asked for.
        As `Question`.
    """

    def __init__(self, wanted: ChatIn, parts: Parts, client: str) -> None:
        if wanted.logprobs:
            raise InvalidInputError("logprobs are not given with citations; send answer_id to POST /v1/inspect")
        turns = [message for message in wanted.messages if message.turn.role != "system"]
        if not turns or turns[-1].role != "user":
            raise InvalidInputError("the last message must be of role user: it is the question")
        params = wanted.params(parts.settings.max_new_tokens)
        self._max_new_tokens = params.max_new_tokens
        body = {
            "question": turns[-1].content,
            "collection": wanted.model.removeprefix(RAG_PREFIX),
            "history": [{"role": turn.role, "content": turn.content} for turn in turns[:-1]],
            "sampling": {
                "max_new_tokens": params.max_new_tokens,
                "temperature": params.temperature,
                "top_k": params.top_k,
                "top_p": params.top_p,
                "min_p": params.min_p,
                "repetition_penalty": params.repetition_penalty,
                "seed": params.seed,
                "stop": list(params.stop),
            },
        }
        try:
            asked = AskIn.model_validate(body)
        except ValidationError as error:
            rows = describe([{**row, "loc": ("body", *row["loc"])} for row in error.errors()])
            raise InvalidInputError(rows[0]["message"]) from error
        self._question = Question(asked, parts, client)

    def hang_up(self) -> None:
        """See `Chat`."""
        self._question.hang_up()

    async def write(self, tell: Tell) -> Done:
        """See `Chat`."""
        answer = await self._question.answer()
        text, usage = answer["text"], answer["usage"]
        if text is None:
            raise ConflictError("a document was deleted while the answer was written from it; ask again")
        for match in _WORD.finditer(text):
            tell(Piece(text=match.group()))
        return Done(
            text=text,
            finish_reason="length" if usage["completion_tokens"] >= self._max_new_tokens else "stop",
            n_prompt_tokens=usage["prompt_tokens"],
            n_new_tokens=usage["completion_tokens"],
            extra={
                "citations": answer["citations"],
                "answer_id": answer["answer_id"],
                "abstained": answer["abstained"],
            },
        )


class PlainChat:
    """The messages as they are, continued by the decoder; nothing is retrieved and nothing cited.

    Encodes the prompt: make it in a worker thread.

    Raises:
        NotReadyError: the decoder is not loaded.
        ModelNotFoundError: the request names another model.
        PromptTooLongError: prompt and new tokens exceed the decoder's context.
        UnsupportedError: the model's template refuses the messages, or the engine gives no probabilities.
    """

    def __init__(self, wanted: ChatIn, parts: Parts, client: str) -> None:
        self._parts, self._client = parts, client
        self._decoder: Decoder = parts.decoder.get()
        name, can = self._decoder.info.name, self._decoder.capabilities
        if wanted.model != name:
            raise ModelNotFoundError(
                f"there is no model of that name; name {name}, or {RAG_PREFIX}COLLECTION for cited answers"
            )
        self._n_alternatives = (wanted.top_logprobs or 0) if wanted.logprobs else 0
        if (wanted.logprobs and not can.token_probabilities) or (self._n_alternatives and not can.distribution):
            raise UnsupportedError(f"the engine {self._decoder.info.engine} gives no probabilities; leave out logprobs")
        self._cancel = Cancel()
        self._messages = tuple(message.turn for message in wanted.messages)
        sampling = wanted.params(parts.settings.max_new_tokens)
        self._max_new_tokens = sampling.max_new_tokens
        request = Request(
            messages=self._messages,
            sampling=sampling,
            cancel=self._cancel,
            reluctance=wanted.wanted_reluctance,
            n_markers=wanted.n_markers if can.citation_rule else None,
        )
        self._events = self._decoder.stream(request)

    def hang_up(self) -> None:
        """See `Chat`."""
        self._cancel.set()

    async def write(self, tell: Tell) -> Done:
        """See `Chat`."""
        work = partial(self._work, from_thread(tell))
        return await in_turn(self._parts, self._client, self._cancel, work, max_new_tokens=self._max_new_tokens)

    def _work(self, tell: Tell) -> Done:
        last: Generation | None = None
        with closing(cast(Generator[Token | Generation, None, None], self._events)) as events:
            for event in events:
                self._cancel.raise_if_set()
                if isinstance(event, Generation):
                    last = event
                else:
                    tell(Piece(text=event.text, tokens=(event,)))
        if last is None or last.finish_reason == "cancelled":
            raise CancelledError("the request was cancelled")
        distributions: tuple[TokenDistribution, ...] = ()
        if self._n_alternatives:
            ids = [token.token_id for token in last.tokens]
            distributions = self._decoder.distribution(
                self._messages, ids, n_alternatives=self._n_alternatives, cancel=self._cancel
            )
        return Done(
            text=last.text,
            finish_reason=last.finish_reason,
            n_prompt_tokens=last.n_prompt_tokens,
            n_new_tokens=last.n_new_tokens,
            tokens=last.tokens,
            distributions=distributions,
            extra={"citations": []},
        )


def start_chat(wanted: ChatIn, parts: Parts, client: str) -> Chat:
    """The chat that the request's model names, everything about it checked. Make it in a worker thread.

    Raises:
        InvalidInputError: the fields do not go together.
        As `GroundedChat` and `PlainChat`.
    """
    if wanted.top_logprobs and not wanted.logprobs:
        raise InvalidInputError("top_logprobs needs logprobs to be true")
    if wanted.top_logprobs and wanted.stream:
        raise InvalidInputError("top_logprobs needs stream to be false: alternatives are read when the text is whole")
    kind = GroundedChat if wanted.model.startswith(RAG_PREFIX) else PlainChat
    return kind(wanted, parts, client)


def frame_of(wanted: ChatIn, parts: Parts) -> Frame:
    """What every chunk of the request's completion repeats."""
    return Frame(
        completion_id=random_id("chatcmpl"),
        created=int(parts.now().timestamp()),
        model=wanted.model,
        with_logprobs=bool(wanted.logprobs),
        with_usage=wanted.includes_usage,
    )


async def stream_chat(chat: Chat, frame: Frame, request: HttpRequest, outbox: Outbox) -> None:
    """The completion as server-sent events, ended by `[DONE]`; or, when it fails, by an error in OpenAI's shape."""

    def tell(piece: Piece) -> None:
        put(outbox, frame.piece(piece))

    put(outbox, frame.first())
    try:
        done = await chat.write(tell)
    except Exception as error:
        if status_and_code(error)[0] == 500:
            _log.error("completion_failed", error=type(error).__name__, frames=frames(error))
        put(outbox, data(in_dialect(request, error).body))
    else:
        put(outbox, frame.last(done))


async def whole_chat(chat: Chat, frame: Frame) -> dict[str, Any]:
    """The completion in one body."""
    return frame.completion(await chat.write(lambda piece: None))
