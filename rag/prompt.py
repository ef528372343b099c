"""The prompts: the only file that says anything to the model. Built by functions, never by `format` over document text.

Evidence is data. It is shown with citation markers escaped (`[2]` reads `(2)`) and its lines indented, so that no text
of a document, a heading or a question can open a passage of its own: only this file writes `[n]`, at the start of a
line. What the model is shown is a rendering; quotes are cut from the stored text (`PromptPassage`), never from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.types import Message
from rag.errors import InvalidInputError
from rag.markers import drop_markers, one_line
from rag.passage_text import prefix_lines
from rag.prompt_passage import Evidence, Neighbour, PromptPassage, covers, fill, from_evidence
from rag.types import Dropped, Hit

PROMPT_VERSION = "grounded-2"  # stored with runs: figures of different versions are not compared
CONTINUED_VERSION = "grounded-2-continued"
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
_LEAST_SHARED = 0.75  # of a follow-up's hits, to go on from the prompt before it: six of eight
_NEW_SHARE = 0.4  # of that prompt's tokens is what a follow-up adds: a decoder that kept them reads half, or less

CountTokens = Callable[[Sequence[Message]], int]  # of a whole prompt, chat template included


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is asked. Marker n stands for `passages[n - 1]`."""

    messages: tuple[Message, ...]
    passages: tuple[PromptPassage, ...]
    dropped: tuple[Dropped, ...]
    n_tokens: int
    version: str = PROMPT_VERSION
    n_carried: int = 0  # passages at the beginning of `passages` that stand in the turns before


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
    asking = _Asking(before=before, question=question, count_tokens=count_tokens)
    passages, dropped = fill(hits, lambda some: asking.count(some) <= token_budget, neighbour)
    return asking.prompt(passages, dropped)


def continue_prompt(
    question: str,
    hits: Sequence[Hit],
    shown: Shown,
    answer: str,
    *,
    token_budget: int,
    count_tokens: CountTokens,
    neighbour: Neighbour | None = None,
) -> Prompt | None:
    """The prompt of the turn before, its answer, and a new turn with what of `hits` it does not show yet.

    All of the earlier prompt is its beginning, so that a decoder which keeps what it has read reads the new turn alone;
    that turn is held to two fifths of what stands before it, and so to half the time to the first token. Passages keep
    their markers, new ones count on. The price: what was shown stands farther from the question, and less that is new
    is shown than in a prompt of its own.

    None where the ordinary prompt is better or the only one: fewer than three quarters of `hits` were retrieved then
    (the conversation went elsewhere), the best of them cannot be shown, or the whole exceeds `token_budget`.

    Args:
        question: The follow-up.
        hits: What was retrieved for it, best first.
        shown: The turn before. Its passages are still those of the documents.
        answer: What was answered then, as it was sent.
        token_budget: Most tokens of the whole prompt.
        count_tokens: The decoder's count.
        neighbour: See `build_prompt`.
    """
    n_shared = sum(hit.passage.passage_id in shown.retrieved for hit in hits)
    if not hits or n_shared < _LEAST_SHARED * len(hits):
        return None
    before = (*shown.messages, _as_history(Message(role="assistant", content=answer)))
    asking = _Asking(before=before, question=question, count_tokens=count_tokens, known=shown.passages)
    most = min(token_budget, int((1 + _NEW_SHARE) * count_tokens(before)))
    if asking.count(()) > most:
        return None
    new = [hit for hit in hits if not covers(shown.passages, hit.passage)]
    passages, dropped = fill(new, lambda some: asking.count(some) <= most, neighbour, known=shown.passages)
    if new and new[0] is hits[0] and dropped and dropped[0].passage_id == new[0].passage.passage_id:
        return None
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
    asking = _Asking(before=before, question=question, count_tokens=count_tokens)
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
    return (Message(role="system", content=_GROUNDED), *history, _user_turn(question, passages, first_marker=1))


def _user_turn(question: str, passages: Sequence[PromptPassage], *, first_marker: int) -> Message:
    parts = [_render(marker, passage) for marker, passage in enumerate(passages, start=first_marker)][::-1]
    parts.append(f"Question: {one_line(question)}\n{_ASK}")
    return Message(role="user", content="\n\n".join(parts))


def _render(marker: int, passage: PromptPassage) -> str:
    """One passage as the model sees it; only its first line starts at the margin."""
    text = "\n".join(run.text for run in passage.runs)
    lines = [*prefix_lines(passage.heading, passage.table_header, text), *text.splitlines()]
    shown = [one_line(part) for line in lines for part in line.splitlines()]
    return f"[{marker}] " + "\n  ".join(line for line in shown if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """A prompt but for the passages of its last turn."""

    before: tuple[Message, ...]  # all turns before the question's
    question: str
    count_tokens: CountTokens
    known: tuple[PromptPassage, ...] = ()  # shown in `before`, with the first markers

    def messages(self, passages: Sequence[PromptPassage]) -> tuple[Message, ...]:
        """The whole prompt."""
        return (*self.before, _user_turn(self.question, passages, first_marker=len(self.known) + 1))

    def count(self, passages: Sequence[PromptPassage]) -> int:
        """Tokens of the whole prompt."""
        return self.count_tokens(self.messages(passages))

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
        shown = _as_history(message)
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


def _as_history(message: Message) -> Message:
    """A turn on one line, an answer without its markers, cut to 600 characters."""
    text = one_line(drop_markers(message.content) if message.role == "assistant" else message.content)
    if len(text) > _MAX_HISTORY_CHARS:
        text = text[:_MAX_HISTORY_CHARS].rsplit(" ", 1)[0] + " …"
    return Message(role=message.role, content=text)
