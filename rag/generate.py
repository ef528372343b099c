"""Asks the decoder: with which prompt, and reads on until it ends or nothing more of what it writes would be kept."""

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from llm.errors import CancelledError
from llm.types import Cancel, Decoder, Generation, Message, Reluctance, Request, SamplingParams, Token
from rag.answer_types import AskRequest, Drafted
from rag.demonstrations import Demonstrations
from rag.draft import is_complete, tidy
from rag.follow_up import continue_prompt
from rag.markers import held_back
from rag.prompt import Prompt, Shown, build_closed_book_prompt, build_evidence_prompt, build_prompt
from rag.prompt_passage import Neighbour
from rag.types import Carried, Hit, Usage

_LEAST = 1e-12  # of a probability whose logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the decoder made of the prompt."""

    messages: tuple[Message, ...]  # the prompt
    text: str  # tidied
    token_ids: tuple[int, ...]  # as generated
    token_probability: float | None  # geometric mean over the tokens; None where the engine does not tell
    abstention_probability: float | None  # that it would have begun as an abstention does; None where not known
    usage: Usage
    first_token_seconds: float | None
    generate_seconds: float
    abstains: bool = False  # though it wrote an answer: a second look says that there is none
    is_reply: bool = False  # `text` is the verifier's yes or no, not what the decoder wrote


def prompt_for(
    request: AskRequest,
    hits: Sequence[Hit],
    decoder: Decoder,
    neighbour: Neighbour | None,
    demonstrations: Demonstrations | None = None,
) -> Prompt:
    """The prompt of the request's mode: without evidence, over the evidence given with it, or over `hits`.

    A follow-up whose earlier turn is at hand goes on from it where it can (see `continue_prompt`). Demonstrations are
    shown only where there is evidence.

    Raises:
        InvalidInputError: the question (or the evidence given with it) exceeds `prompt_tokens`.
    """
    if request.mode == "closed_book":
        return build_closed_book_prompt(
            request.question,
            history=request.history,
            token_budget=request.prompt_tokens,
            count_tokens=decoder.count_prompt_tokens,
        )
    chosen = () if demonstrations is None else demonstrations.choose(request.question)
    turns = [one.turns() for one in chosen]
    if request.evidence is not None:
        return build_evidence_prompt(
            request.question,
            request.evidence,
            history=request.history,
            token_budget=request.prompt_tokens,
            count_tokens=decoder.count_prompt_tokens,
            demonstrations=turns,
        )
    if request.shown is not None:
        continued = continue_prompt(
            request.question,
            hits,
            request.shown,
            request.history,
            token_budget=request.prompt_tokens,
            count_tokens=decoder.count_prompt_tokens,
            neighbour=neighbour,
        )
        if continued is not None:
            return continued
    return build_prompt(
        request.question,
        hits,
        history=request.history,
        token_budget=request.prompt_tokens,
        count_tokens=decoder.count_prompt_tokens,
        neighbour=neighbour,
        demonstrations=turns,
    )


def carried_by(prompt: Prompt) -> tuple[Carried, ...]:
    """What the prompt shows from the turns before."""
    return tuple(
        Carried(
            marker=marker,
            passage_ids=passage.passage_ids,
            document_id=passage.document_id,
            document_name=passage.document_name,
            document_version=passage.version,
            text="\n".join(run.text for run in passage.runs),
        )
        for marker, passage in enumerate(prompt.passages[: prompt.n_carried], start=1)
    )


def shown_by(prompt: Prompt, hits: Sequence[Hit]) -> Shown | None:
    """What the next question may go on from; None where nothing was retrieved."""
    if not hits:
        return None
    ids = {passage_id for passage in prompt.passages for passage_id in passage.passage_ids}
    retrieved = frozenset(ids | {hit.passage.passage_id for hit in hits})
    return Shown(messages=prompt.messages, passages=prompt.passages, retrieved=retrieved)


def write_draft(
    prompt: Prompt,
    sampling: SamplingParams,
    decoder: Decoder,
    *,
    max_sentences: int,
    reluctance: Reluctance | None = None,
    show: bool,
    cancel: Cancel,
) -> Generator[Drafted, None, Written]:
    """Yield the draft as it grows, if it is to be shown, and return it tidied (see `rag.draft.tidy`).

    Where the engine can, it writes only markers of passages in the prompt. A marker is never yielded in two halves.
    With `reluctance` the decoder abstains only where it is sure.

    Raises:
        CancelledError: `cancel` was set.
        PromptTooLongError: the prompt and `max_new_tokens` exceed the decoder's context.
    """
    started = time.perf_counter()
    first_token_seconds: float | None = None
    text, n_shown, cut_short = "", 0, False
    tokens: list[Token] = []
    ruled = prompt.passages and decoder.capabilities.citation_rule and sampling.num_beams == 1
    asked = Request(
        messages=prompt.messages,
        sampling=sampling,
        reluctance=reluctance,
        n_markers=len(prompt.passages) if ruled else None,
        cancel=cancel,
    )
    stream = decoder.stream(asked)
    try:
        for event in stream:
            if isinstance(event, Generation):
                if event.finish_reason == "cancelled":
                    raise CancelledError("the request was cancelled")
                text, cut_short = event.text, event.finish_reason == "length"
                tokens = list(event.tokens)
                first_token_seconds = event.first_token_seconds
                shown = len(text)
            else:
                first_token_seconds = first_token_seconds or time.perf_counter() - started
                text += event.text
                tokens.append(event)
                shown = len(text) - held_back(text)
            if show and shown > n_shown:
                yield Drafted(text=text[n_shown:shown], abstention_probability=_opening(tokens))
            n_shown = max(n_shown, shown)
            if isinstance(event, Generation) or is_complete(text, max_sentences):
                break
    finally:
        close = getattr(stream, "close", None)  # generators have it: what is not read any more is not computed
        if close is not None:
            close()
    return Written(
        messages=prompt.messages,
        text=tidy(text, cut_short=cut_short, max_sentences=max_sentences),
        token_ids=tuple(token.token_id for token in tokens),
        token_probability=_mean_probability(tokens),
        abstention_probability=_opening(tokens),
        usage=Usage(prompt_tokens=prompt.n_tokens, completion_tokens=len(tokens)),
        first_token_seconds=first_token_seconds,
        generate_seconds=time.perf_counter() - started,
    )


def _opening(tokens: Sequence[Token]) -> float | None:
    """How probable an abstention was in place of the first token."""
    return tokens[0].opening_probability if tokens else None


def _mean_probability(tokens: Sequence[Token]) -> float | None:
    """The geometric mean of the tokens' probabilities; None where one is not known."""
    logs = [math.log(max(token.probability, _LEAST)) for token in tokens if token.probability is not None]
    return math.exp(sum(logs) / len(logs)) if logs and len(logs) == len(tokens) else None
