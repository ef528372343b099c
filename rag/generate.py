"""Runs the decoder until it ends, or until nothing more of what it writes would be kept."""

import time
from collections.abc import Generator
from dataclasses import dataclass

from llm.errors import CancelledError
from llm.types import Cancel, Decoder, Generation, Request, SamplingParams
from rag.answer_types import Drafted
from rag.draft import is_complete, tidy
from rag.markers import held_back
from rag.prompt import Prompt
from rag.types import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the decoder made of the prompt."""

    text: str  # tidied
    token_ids: tuple[int, ...]  # as generated
    usage: Usage
    first_token_seconds: float | None
    generate_seconds: float


def write_draft(
    prompt: Prompt, sampling: SamplingParams, decoder: Decoder, *, max_sentences: int, show: bool, cancel: Cancel
) -> Generator[Drafted, None, Written]:
    """Yield the draft as it grows, if it is to be shown, and return it tidied (see `rag.draft.tidy`).

    A marker is never yielded in two halves.

    Raises:
        CancelledError: `cancel` was set.
        PromptTooLongError: the prompt and `max_new_tokens` exceed the decoder's context.
    """
    started = time.perf_counter()
    first_token_seconds: float | None = None
    text, n_shown, cut_short = "", 0, False
    token_ids: list[int] = []
    stream = decoder.stream(Request(messages=prompt.messages, sampling=sampling, cancel=cancel))
    try:
        for event in stream:
            if isinstance(event, Generation):
                if event.finish_reason == "cancelled":
                    raise CancelledError("the request was cancelled")
                text, cut_short = event.text, event.finish_reason == "length"
                token_ids = [token.token_id for token in event.tokens]
                first_token_seconds = event.first_token_seconds
                shown = len(text)
            else:
                first_token_seconds = first_token_seconds or time.perf_counter() - started
                text += event.text
                token_ids.append(event.token_id)
                shown = len(text) - held_back(text)
            if show and shown > n_shown:
                yield Drafted(text=text[n_shown:shown])
            n_shown = max(n_shown, shown)
            if isinstance(event, Generation) or is_complete(text, max_sentences):
                break
    finally:
        close = getattr(stream, "close", None)  # generators have it: what is not read any more is not computed
        if close is not None:
            close()
    return Written(
        text=tidy(text, cut_short=cut_short, max_sentences=max_sentences),
        token_ids=tuple(token_ids),
        usage=Usage(prompt_tokens=prompt.n_tokens, completion_tokens=len(token_ids)),
        first_token_seconds=first_token_seconds,
        generate_seconds=time.perf_counter() - started,
    )
