"""A look inside the decoder: the tokens of a prompt and the distribution behind each token after it."""

import dataclasses
import math
from typing import Any

from api.errors import GoneError
from api.parts import Parts
from api.schemas.inspect import MAX_STEPS, InspectIn
from api.turn import in_turn
from llm.errors import CancelledError, UnsupportedError
from llm.types import Cancel, Decoder, Message, Request, TokenDistribution
from rag.errors import ConflictError
from rag.types import Trace

DEFAULT_STEPS = 16


class Inspection:
    """One look on its way. What it needs is checked when it is made, before it waits for its turn.

    Reads the catalog: make it in a worker thread.

    Raises:
        NotReadyError: the decoder is not loaded.
        UnsupportedError: the decoder does not show its distributions.
        NotFoundError: no answer has that id.
        GoneError: what the decoder read was redacted with a deleted document.
        ConflictError: another model is loaded, or the decoder was not asked for that answer.
    """

    def __init__(self, wanted: InspectIn, parts: Parts, client: str) -> None:
        self._parts, self._client = parts, client
        self._wanted = wanted
        self._decoder: Decoder = parts.decoder.get()
        if not self._decoder.capabilities.distribution:
            raise UnsupportedError(
                f"the decoder {self._decoder.info.name} does not show its distributions, as remote ones do not; "
                "load a local model to look inside"
            )
        self._trace = None if wanted.answer_id is None else self._stored(wanted.answer_id)
        self._cancel = Cancel()

    def hang_up(self) -> None:
        """Stop as soon as possible."""
        self._cancel.set()

    async def look(self) -> dict[str, Any]:
        """Wait for the turn, then look in a worker thread.

        Raises:
            PromptTooLongError: prompt and tokens exceed the decoder's context.
            CancelledError: `hang_up` was called.
        """
        return await in_turn(self._parts, self._client, self._cancel, self._work)

    def _stored(self, answer_id: str) -> Trace:
        stored = self._parts.catalog.answers.trace(answer_id)
        if stored is None:
            raise ConflictError("the decoder wrote nothing for this answer; ask a question that it answers")
        if stored.trace is None:
            raise GoneError("what the decoder read for this answer went with a deleted document; ask again")
        loaded = self._decoder.info.full_name
        if stored.model != loaded:
            raise ConflictError(f"the answer was written by {stored.model} and {loaded} is loaded; load that model")
        return stored.trace

    def _work(self) -> dict[str, Any]:
        messages, token_ids = self._given()
        n_tokens = len(token_ids)
        token_ids = token_ids[: self._wanted.steps or MAX_STEPS]
        try:
            behind = self._decoder.distribution(
                messages,
                token_ids,
                n_alternatives=self._wanted.alternatives,
                sampling=self._wanted.params(max_new_tokens=1),
                cancel=self._cancel,
            )
        except ValueError as error:
            raise ConflictError("the answer's tokens are not of the model that is loaded; ask again") from error
        self._cancel.raise_if_set()
        return {
            "prompt": [dataclasses.asdict(token) for token in self._decoder.encode_prompt(messages)],
            "tokens": [_token(entry) for entry in behind],
            "n_tokens": n_tokens,
            "model": dataclasses.asdict(self._decoder.info),
        }

    def _given(self) -> tuple[tuple[Message, ...], tuple[int, ...]]:
        """The prompt and the tokens after it; without a stored answer the decoder writes them."""
        if self._trace is not None:
            return self._trace.messages, self._trace.token_ids
        messages = self._wanted.turns
        sampling = self._wanted.params(self._wanted.steps or DEFAULT_STEPS)
        (done,) = self._decoder.generate([Request(messages=messages, sampling=sampling, cancel=self._cancel)])
        if done.finish_reason == "cancelled":
            raise CancelledError("the request was cancelled")
        return messages, tuple(token.token_id for token in done.tokens)


def _token(entry: TokenDistribution) -> dict[str, Any]:
    found = dataclasses.asdict(entry)
    for alternative in found["alternatives"]:
        if not math.isfinite(alternative["logit"]):
            alternative["logit"] = None
    return found
