import dataclasses
from collections.abc import Sequence

from llm.types import Message
from rag.follow_up import continue_prompt
from rag.prompt import CONTINUED_VERSION, PROMPT_VERSION, Prompt, Shown, build_prompt
from rag.prompt_passage import covers, cut, from_passage
from rag.types import Hit, Passage, Scores

FIRST = "When was the bridge opened?"
SECOND = "And who designed it?"
HISTORY = (
    Message(role="user", content=FIRST),
    Message(role="assistant", content="It was opened in 1883. [1]"),
)


def count_words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def hits_of(*numbers: int, n_words: int = 40) -> tuple[Hit, ...]:
    """Passage n says only its own number, `n_words` times, in sentences of four words."""
    found = []
    for rank, number in enumerate(numbers, start=1):
        text = " ".join(f"No{number}{'.' if word % 4 == 3 else ''}" for word in range(n_words))
        passage = Passage(
            passage_id=number,
            document_id=f"d{number}",
            document_name=f"d{number}.md",
            collection="default",
            version=1,
            ordinal=0,
            text=text,
            start=0,
            end=len(text),
            heading=None,
            table_header=None,
            first_page=None,
            last_page=None,
            n_tokens=n_words,
            continues=False,
        )
        found.append(Hit(rank=rank, passage=passage, score=1 / rank, scores=Scores()))
    return tuple(found)


def first_prompt(hits: Sequence[Hit], budget: int = 220) -> Prompt:
    return build_prompt(FIRST, hits, token_budget=budget, count_tokens=count_words)


def shown_by(prompt: Prompt, hits: Sequence[Hit]) -> Shown:
    retrieved = frozenset(hit.passage.passage_id for hit in hits)
    return Shown(messages=prompt.messages, passages=prompt.passages, retrieved=retrieved)


def go_on(shown: Shown, hits: Sequence[Hit], budget: int = 1000, question: str = SECOND) -> Prompt | None:
    return continue_prompt(question, hits, shown, HISTORY, token_budget=budget, count_tokens=count_words)


def text_of(prompt: Prompt, turn: int = -1) -> str:
    return prompt.messages[turn].content


def test_a_follow_up_begins_as_the_prompt_before_it_and_adds_what_is_new() -> None:
    hits = hits_of(1, 2, 3, 4, 5)
    before = first_prompt(hits)
    shown = shown_by(before, hits)
    n_shown = len(before.passages)
    assert 2 <= n_shown < 5  # some were retrieved and not shown
    prompt = go_on(shown, hits_of(2, 5, 1, 4))
    assert prompt is not None and prompt.version == CONTINUED_VERSION and before.version == PROMPT_VERSION
    assert prompt.messages[:-1] == before.messages[:-1]
    passages, _, _ = text_of(before).partition("\n\nQuestion:")
    assert text_of(prompt).startswith(f"{passages}\n\n[")
    assert prompt.passages[:n_shown] == before.passages and prompt.n_carried == n_shown
    new = prompt.passages[n_shown]
    assert new.document_id == "d5" and f"[{n_shown + 1}] No5" in text_of(prompt)
    assert text_of(prompt).endswith(
        "Earlier question: When was the bridge opened?\nEarlier answer: It was opened in 1883.\n\n"
        f"Question: {SECOND}\nAnswer in a few words, copied from the passages:"
    )
    assert text_of(prompt).count("] No2") == text_of(prompt).count("] No1") == 1
    assert prompt.n_tokens == count_words(prompt.messages)


def test_only_a_follow_up_that_leans_on_what_was_said_is_told_it() -> None:
    hits = hits_of(1, 2)
    shown = shown_by(first_prompt(hits), hits)
    for question, told in (
        ("And who designed it?", True),
        ("What did he do next in London?", True),
        ("Which year?", True),
        ("Which year brought the first steam engine to Newcastle?", False),
    ):
        prompt = go_on(shown, hits, question=question)
        assert prompt is not None and ("Earlier answer: It was" in text_of(prompt)) is told


def test_what_is_read_anew_is_a_share_of_the_prompt_before() -> None:
    hits = hits_of(*range(1, 9), n_words=100)
    before = first_prompt(hits, budget=600)
    prompt = go_on(shown_by(before, hits), hits_of(1, 8, 7, 6, n_words=100))
    assert prompt is not None
    common = text_of(before).partition("\n\nQuestion:")[0]
    assert text_of(prompt).startswith(common)
    assert len(text_of(prompt).removeprefix(common).split()) <= 0.33 * before.n_tokens
    assert {row.reason for row in prompt.dropped} == {"budget"}
    ids = {hit.passage.passage_id for hit in hits_of(1, 8, 7, 6)}
    placed = {passage_id for one in prompt.passages for passage_id in one.passage_ids}
    assert ids - placed == {row.passage_id for row in prompt.dropped}


def test_where_the_ordinary_prompt_is_needed_there_is_none() -> None:
    hits = hits_of(1, 2, 3, 4)
    shown = shown_by(first_prompt(hits), hits)
    assert go_on(shown, hits) is not None
    assert go_on(shown, ()) is None
    assert go_on(shown, hits_of(1, 2, 11, 12)) is None  # half of it is about something else
    assert go_on(shown, hits_of(1, 2, 3, 12)) is not None  # three quarters are the same
    n_before = count_words(shown.messages)
    assert go_on(shown, hits, budget=n_before - 20) is None  # no room for the question
    assert go_on(shown, hits, question="why " * n_before) is None  # longer than what is saved


def test_where_the_best_hit_was_not_shown_the_prompt_is_the_ordinary_one() -> None:
    hits = (*hits_of(1, 2, 4, 5), *hits_of(3, n_words=400))
    shown = shown_by(first_prompt(hits[:4]), hits)
    new = hits[4]
    assert go_on(shown, (new, *hits[:3])) is None
    prompt = go_on(shown, (hits[0], new, *hits[1:3]))
    assert prompt is not None and prompt.passages[-1].document_id == "d3"  # shortened


def test_a_third_question_goes_on_from_the_second() -> None:
    hits = hits_of(1, 2, 3, 4, 5, 6)
    second_hits = hits_of(1, 5, 2, 3)
    second = go_on(shown_by(first_prompt(hits), hits), second_hits)
    assert second is not None
    third = go_on(shown_by(second, hits), hits_of(5, 6, 1, 2), question="And when?")
    assert third is not None and third.messages[:-1] == second.messages[:-1]
    assert text_of(third).startswith(text_of(second).partition("\n\nEarlier")[0])
    assert third.passages[: len(second.passages)] == second.passages
    assert f"[{len(second.passages) + 1}] No6" in text_of(third)


def test_the_same_text_of_another_document_is_not_shown_twice() -> None:
    hits = hits_of(1, 2)
    shown = shown_by(first_prompt(hits), hits)
    copy = dataclasses.replace(hits[0].passage, passage_id=9, document_id="d9")
    prompt = go_on(
        dataclasses.replace(shown, retrieved=shown.retrieved | {9}), (*hits, dataclasses.replace(hits[0], passage=copy))
    )
    assert prompt is not None and [(row.passage_id, row.reason) for row in prompt.dropped] == [(9, "duplicate")]


def test_a_passage_that_was_cut_short_is_not_yet_shown() -> None:
    (hit,) = hits_of(1)
    whole = from_passage(hit.passage, None)
    assert covers([whole], hit.passage)
    assert not covers([cut(whole, 20)], hit.passage)
    assert not covers([dataclasses.replace(whole, version=2)], hit.passage)
    rest = dataclasses.replace(
        whole,
        pieces=tuple(
            dataclasses.replace(piece, span=dataclasses.replace(piece.span, start=20), text=piece.text[20:])
            for piece in whole.pieces
        ),
    )
    assert covers([rest, cut(whole, 20)], hit.passage)
    assert not covers([rest, cut(whole, 19)], hit.passage)
