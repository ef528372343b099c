"""The prompts: the only file that says anything to the model. Built by functions, never by `format` over document text.

Evidence is data. It is shown with citation markers escaped (`[2]` reads `(2)`) and its lines indented, so that no text
of a document, a heading or a question can open a passage of its own: only this file writes `[n]`, at the start of a
line. What the model is shown is a rendering; quotes are cut from the stored text (`PromptPassage`), never from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.types import Message
from rag.errors import InvalidInputError
from rag.markers import drop_markers, escape_markers, one_line
from rag.passage_text import prefix_lines
from rag.prompt_passage import Evidence, Neighbour, PromptPassage, fill, from_evidence
from rag.table_rows import spelled_out
from rag.types import Dropped, Hit

PROMPT_VERSION = "grounded-3"  # stored with runs: figures of different versions are not compared
CONTINUED_VERSION = "grounded-3-continued"
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
    n_carried: int = 0  # passages at the beginning of `passages` that the prompt of the turn before showed


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a decoder was shown for one question, for the question that follows it."""

    messages: tuple[Message, ...]  # the whole prompt
    passages: tuple[PromptPassage, ...]  # in marker order
    retrieved: frozenset[int]  # ids of all hits, shown or not


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
    before = _before(question, history, token_budget, count_tokens, demonstrations)
    asking = Asking(before=before, question=question, count_tokens=count_tokens)
    passages, dropped = fill(hits, lambda some: asking.count(some) <= token_budget, neighbour)
    return asking.prompt(passages, dropped)


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
    before = _before(question, history, token_budget, count_tokens, demonstrations)
    asking = Asking(before=before, question=question, count_tokens=count_tokens)
    passages = [from_evidence(item) for item in evidence if item.text.strip()]
    n_tokens = asking.count(passages)
    if n_tokens > token_budget:
        raise InvalidInputError(
            f"question and evidence take {n_tokens} prompt tokens but prompt_tokens allows {token_budget}; "
            "shorten the evidence or raise prompt_tokens"
        )
    return asking.prompt(passages, ())


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
    rendered = _rendered(passages)
    return (Message(role="system", content=_GROUNDED), *history, _user_turn(question, rendered))


def continued_messages(
    question: str, passages: Sequence[PromptPassage], n_known: int, earlier: Sequence[str] = ()
) -> tuple[Message, ...]:
    """The messages of a second question whose first `n_known` passages stand where the prompt before it showed them.

    `earlier` is told between passages and question.
    """
    known, new = _rendered(passages[:n_known]), _rendered(passages[n_known:], n_known + 1)
    return (Message(role="system", content=_GROUNDED), _user_turn(question, (*known, *new, *earlier)))


def _rendered(passages: Sequence[PromptPassage], first_marker: int = 1) -> tuple[str, ...]:
    """The passages as they stand in a turn, the best last."""
    return tuple(_render(marker, passage) for marker, passage in enumerate(passages, start=first_marker))[::-1]


def _user_turn(question: str, parts: Sequence[str]) -> Message:
    return Message(role="user", content="\n\n".join([*parts, f"Question: {one_line(question)}\n{_ASK}"]))


def _render(marker: int, passage: PromptPassage) -> str:
    """One passage as the model sees it; only its first line starts at the margin."""
    text = "\n".join(run.text for run in passage.runs)
    lines = [*prefix_lines(passage.heading, passage.table_header, text), *text.splitlines()]
    shown = spelled_out([one_line(part) for line in lines for part in line.splitlines() or [""]])
    # Escaped again as a whole: a bracket that a line opens may be closed by the next one.
    return f"[{marker}] " + escape_markers("\n  ".join(line for line in shown if line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A prompt but for the passages of its last turn."""

    before: tuple[Message, ...]  # all turns before the question's
    question: str
    count_tokens: CountTokens
    known: tuple[PromptPassage, ...] = ()  # with the first markers, and at the beginning of the turn
    known_parts: tuple[str, ...] = ()  # these passages as they stand there
    earlier: tuple[str, ...] = ()  # told between passages and question

    def messages(self, passages: Sequence[PromptPassage]) -> tuple[Message, ...]:
        """The whole prompt."""
        rendered = _rendered(passages, len(self.known) + 1)
        return (*self.before, _user_turn(self.question, (*self.known_parts, *rendered, *self.earlier)))

    def count(self, passages: Sequence[PromptPassage]) -> int:
        """Tokens of the whole prompt."""
        return self.count_tokens(self.messages(passages))

    def count_known(self) -> int:
        """Tokens of what the turn begins with, and of all before it."""
        return self.count_tokens((*self.before, Message(role="user", content="\n\n".join(self.known_parts))))

    def prompt(self, passages: Sequence[PromptPassage], dropped: Sequence[Dropped]) -> Prompt:
        """The finished prompt."""
        return Prompt(
            messages=self.messages(passages),
            passages=(*self.known, *passages),
            dropped=tuple(dropped),
            n_tokens=self.count(passages),
            version=CONTINUED_VERSION if self.known else PROMPT_VERSION,
            n_carried=len(self.known),
        )


def _before(
    question: str,
    history: Sequence[Message],
    token_budget: int,
    count_tokens: CountTokens,
    demonstrations: Sequence[tuple[Message, Message]],
) -> tuple[Message, ...]:
    """The instructions, demonstrations and history before a question: what of them is shown.

    Raises:
        InvalidInputError: the question alone exceeds the budget.
    """
    system, asked = grounded_messages(question, ())
    room = token_budget - _checked((system, asked), token_budget, count_tokens)
    past = _bounded_history(history, room, token_budget, count_tokens)
    room -= count_tokens(past) if past else 0
    shown = _bounded_demonstrations(demonstrations, min(_DEMONSTRATION_SHARE * token_budget, room), count_tokens)
    return (system, *shown, *past)


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
        shown = as_history(message)
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


def as_history(message: Message) -> Message:
    """A turn on one line, an answer without its markers, cut to 600 characters."""
    text = one_line(drop_markers(message.content) if message.role == "assistant" else message.content)
    if len(text) > _MAX_HISTORY_CHARS:
        text = text[:_MAX_HISTORY_CHARS].rsplit(" ", 1)[0] + " …"
    return Message(role=message.role, content=text)
