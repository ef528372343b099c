"""The prompts: the only file that says anything to the model. Built by functions, never by `format` over document text.

Evidence is data. It is shown with citation markers escaped (`[2]` reads `(2)`) and its lines indented, so that no text
of a document, a heading or a question can open a passage of its own: only this file writes `[n]`, at the start of a
line. What the model is shown is a rendering; quotes are cut from the stored text (`PromptPassage`), never from it.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.types import Message
from rag.errors import InvalidInputError
from rag.markers import drop_markers, one_line
from rag.passage_text import prefix_lines
from rag.prompt_passage import Evidence, Neighbour, PromptPassage, cut, from_evidence, from_passage, join, touch
from rag.text import split_sentences, words
from rag.types import Dropped, Hit

PROMPT_VERSION = "grounded-2"  # stored with runs: figures of different versions are not compared
NOT_IN_DOCUMENTS = "The documents do not contain an answer to this question."
NOT_KNOWN = "I do not know the answer to this question."

# Chosen among eight wordings and two orders, by right answers that attribution lets through, on held-out articles of
# SQuAD train. It does not ask for markers: a small decoder follows no such request, and attribution does not need it.
_GROUNDED = (
    "Answer the question from the passages in one short sentence. "
    f"If the passages do not answer it, write: {NOT_IN_DOCUMENTS}"
)
_ASK = "Answer in a few words, copied from the passages:"
_CLOSED_BOOK = f"Answer the question in one short sentence. If you do not know the answer, write: {NOT_KNOWN}"

_MAX_HISTORY_MESSAGES = 4
_MAX_HISTORY_CHARS = 600  # of one message
_HISTORY_SHARE = 0.25  # of the token budget
_DEMONSTRATION_SHARE = 0.5  # of the token budget

CountTokens = Callable[[Sequence[Message]], int]  # of a whole prompt, chat template included


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is asked. Marker n stands for `passages[n - 1]`."""

    messages: tuple[Message, ...]
    passages: tuple[PromptPassage, ...]
    dropped: tuple[Dropped, ...]
    n_tokens: int
    version: str = PROMPT_VERSION


def build_prompt(
    question: str,
    hits: Sequence[Hit],
    *,
    history: Sequence[Message] = (),
    token_budget: int,
    count_tokens: CountTokens,
    neighbour: Neighbour | None = None,
    demonstrations: Sequence[tuple[Message, Message]] = (),
) -> Prompt:
    """The grounded prompt over `hits`, best first, that takes at most `token_budget` tokens.

    Hits that are neighbours in one document are joined under the marker of the better one. With `neighbour`, a passage
    that begins or ends inside a paragraph gets the one sentence before or after it; that sentence is cited as part of
    its own passage. The first hit that does not fit whole is shortened at a sentence boundary if at least half of its
    characters fit (the best hit: if anything fits) and only what is kept can be cited; other hits that do not fit are
    in `dropped` with reason `budget`, repeated texts with reason `duplicate`. `demonstrations` stand before the
    history; of them only the last that take at most half of the budget are shown.

    Raises:
        InvalidInputError: the question alone exceeds the budget.
    """
    layout = _Layout(question, history, token_budget, count_tokens, demonstrations)
    seen: set[str] = set()
    dropped: list[Dropped] = []
    for hit in hits:
        text = " ".join(hit.passage.text.split())
        if text in seen:
            dropped.append(Dropped(passage_id=hit.passage.passage_id, reason="duplicate"))
        elif layout.add(from_passage(hit.passage, neighbour)):
            seen.add(text)
        else:
            dropped.append(Dropped(passage_id=hit.passage.passage_id, reason="budget"))
    return layout.prompt(tuple(dropped))


def build_evidence_prompt(
    question: str,
    evidence: Sequence[Evidence],
    *,
    history: Sequence[Message] = (),
    token_budget: int,
    count_tokens: CountTokens,
    demonstrations: Sequence[tuple[Message, Message]] = (),
) -> Prompt:
    """The grounded prompt over texts given with the question, each under its own marker, in the order given.

    Raises:
        InvalidInputError: question and evidence together exceed the budget; nothing of them is left out silently.
    """
    layout = _Layout(question, history, token_budget, count_tokens, demonstrations)
    layout.passages = [from_evidence(item) for item in evidence if item.text.strip()]
    n_tokens = layout.count()
    if n_tokens > token_budget:
        raise InvalidInputError(
            f"question and evidence take {n_tokens} prompt tokens but prompt_tokens allows {token_budget}; "
            "shorten the evidence or raise prompt_tokens"
        )
    return layout.prompt(())


def build_closed_book_prompt(
    question: str, *, history: Sequence[Message] = (), token_budget: int, count_tokens: CountTokens
) -> Prompt:
    """The prompt without evidence: the model answers from what it has learned, or says that it does not know.

    Raises:
        InvalidInputError: the question alone exceeds the budget.
    """
    system, asked = Message(role="system", content=_CLOSED_BOOK), Message(role="user", content=one_line(question))
    room = token_budget - _checked((system, asked), token_budget, count_tokens)
    messages = (system, *_bounded_history(history, room, token_budget, count_tokens), asked)
    return Prompt(messages=messages, passages=(), dropped=(), n_tokens=count_tokens(messages))


def grounded_messages(
    question: str, passages: Sequence[PromptPassage], history: Sequence[Message] = ()
) -> tuple[Message, ...]:
    """The messages of the grounded prompt; `history` is shown as it is (see `build_prompt` for its bounds).

    The best passage stands last, next to the question: small decoders copy from what they have read last.
    """
    parts = [_render(marker, passage) for marker, passage in enumerate(passages, start=1)][::-1]
    parts.append(f"Question: {one_line(question)}\n{_ASK}")
    return (
        Message(role="system", content=_GROUNDED),
        *history,
        Message(role="user", content="\n\n".join(parts)),
    )


def _render(marker: int, passage: PromptPassage) -> str:
    """One passage as the model sees it; only its first line starts at the margin."""
    text = "\n".join(run.text for run in passage.runs)
    lines = [*prefix_lines(passage.heading, passage.table_header, text), *text.splitlines()]
    shown = [one_line(part) for line in lines for part in line.splitlines()]
    return f"[{marker}] " + "\n  ".join(line for line in shown if line)


class _Layout:
    """A prompt in the making: passages are added in rank order for as long as they fit."""

    def __init__(
        self,
        question: str,
        history: Sequence[Message],
        token_budget: int,
        count_tokens: CountTokens,
        demonstrations: Sequence[tuple[Message, Message]],
    ) -> None:
        room = token_budget - _checked(grounded_messages(question, ()), token_budget, count_tokens)
        self._question = question
        past = _bounded_history(history, room, token_budget, count_tokens)
        room -= count_tokens(past) if past else 0
        shown = _bounded_demonstrations(demonstrations, min(_DEMONSTRATION_SHARE * token_budget, room), count_tokens)
        self._history = (*shown, *past)
        self._token_budget, self._count_tokens = token_budget, count_tokens
        self._full = False
        self.passages: list[PromptPassage] = []

    def count(self, passages: Sequence[PromptPassage] | None = None) -> int:
        """Tokens of the whole prompt with `passages`, by default with those it has."""
        shown = self.passages if passages is None else passages
        return self._count_tokens(grounded_messages(self._question, shown, self._history))

    def add(self, passage: PromptPassage) -> bool:
        """Add `passage` or, once, what fits of it; False if it stays out."""
        if self._full:
            return False
        if self._take(self._joined(passage)):
            return True
        shorter = self._shortened(passage)
        if shorter is None or (self.passages and 2 * shorter.length < passage.length):
            return False
        self._full = self._take([*self.passages, shorter])
        return self._full

    def prompt(self, dropped: tuple[Dropped, ...]) -> Prompt:
        """The finished prompt."""
        messages = grounded_messages(self._question, self.passages, self._history)
        return Prompt(
            messages=messages, passages=tuple(self.passages), dropped=dropped, n_tokens=self._count_tokens(messages)
        )

    def _joined(self, passage: PromptPassage) -> list[PromptPassage]:
        """The passages with `passage` at the end, or in the place of the first one that it touches."""
        touching = [other for other in self.passages if touch(other, passage)]
        if not touching:
            return [*self.passages, passage]
        joined = join([*touching, passage])
        return [joined if other is touching[0] else other for other in self.passages if other not in touching[1:]]

    def _take(self, passages: list[PromptPassage]) -> bool:
        """Keep `passages` if they fit."""
        fits = self.count(passages) <= self._token_budget
        if fits:
            self.passages = passages
        return fits

    def _shortened(self, passage: PromptPassage) -> PromptPassage | None:
        """The longest beginning of `passage` that fits: whole sentences, or whole words where no sentence fits."""
        for split in (split_sentences, words):
            ends = [run.start + part.end for run in passage.runs for part in split(run.text)]
            n_fitting = bisect.bisect_left(ends, True, key=lambda end: not self._fits(cut(passage, end)))
            if n_fitting:
                return cut(passage, ends[n_fitting - 1])
        return None

    def _fits(self, passage: PromptPassage) -> bool:
        return self.count([*self.passages, passage]) <= self._token_budget


def _checked(messages: Sequence[Message], token_budget: int, count_tokens: CountTokens) -> int:
    """Tokens of a prompt without evidence.

    Raises:
        InvalidInputError: they exceed the budget.
    """
    n_tokens = count_tokens(messages)
    if n_tokens > token_budget:
        raise InvalidInputError(
            f"the question takes {n_tokens} prompt tokens but prompt_tokens allows {token_budget}; "
            "ask a shorter question or raise prompt_tokens"
        )
    return n_tokens


def _bounded_history(
    history: Sequence[Message], room: int, token_budget: int, count_tokens: CountTokens
) -> tuple[Message, ...]:
    """The newest turns that take at most a quarter of the budget and `room` tokens, each cut to 600 characters.

    Turns of the system are left out (the template's instructions stand), markers are taken out of answers (they
    pointed into another prompt), turns of one role in a row become one, and the first is the user's.
    """
    turns: list[Message] = []
    for message in reversed([turn for turn in history if turn.role != "system"][-_MAX_HISTORY_MESSAGES:]):
        shown = Message(role=message.role, content=_history_text(message))
        if count_tokens((shown, *turns)) > min(_HISTORY_SHARE * token_budget, room):
            break
        if turns and turns[0].role == shown.role:
            turns[0] = Message(role=shown.role, content=f"{shown.content}\n{turns[0].content}")
        else:
            turns.insert(0, shown)
    return tuple(turns if not turns or turns[0].role == "user" else turns[1:])


def _bounded_demonstrations(
    demonstrations: Sequence[tuple[Message, Message]], room: float, count_tokens: CountTokens
) -> tuple[Message, ...]:
    """The turns of the last demonstrations that take at most `room` tokens."""
    turns: tuple[Message, ...] = ()
    for pair in reversed(demonstrations):
        if count_tokens((*pair, *turns)) > room:
            break
        turns = (*pair, *turns)
    return turns


def _history_text(message: Message) -> str:
    text = message.content
    if message.role == "assistant":
        text = drop_markers(text)
    text = one_line(text)
    return text if len(text) <= _MAX_HISTORY_CHARS else text[:_MAX_HISTORY_CHARS].rsplit(" ", 1)[0] + " …"
