"""What the decoder read and wrote is kept word for word, until a document that was in it is deleted."""

import dataclasses

import pytest
from sqlalchemy import text

from llm.types import Message
from rag.errors import NotFoundError
from rag.types import Answer, Hit, Mode, Passage, Scores, Timings, Trace, Usage

MODE: Mode = "grounded"
SYSTEM = Message(role="system", content="Answer from the passages.")


def answer_from(passages: list[Passage], bench, answer_id: str) -> Answer:
    return Answer(
        answer_id=answer_id,
        question="What of it?",
        mode=MODE,
        collection="default",
        text="No.",
        abstained=False,
        citations=(),
        invalid_markers=(),
        claims=(),
        removed=(),
        faithfulness=None,
        confidence=None,
        retrieved=tuple(
            Hit(rank=rank, passage=passage, score=1.0, scores=Scores()) for rank, passage in enumerate(passages, 1)
        ),
        dropped=(),
        model=None,
        usage=Usage(),
        timings=Timings(),
        created_at=bench.now,
    )


def trace_of(words: str, *earlier: Message) -> Trace:
    turns = (SYSTEM, *earlier, Message(role="user", content=f"[1] {words}\n\nWhat of it?"))
    return Trace(model="tiny", messages=turns, token_ids=(3, 1, 2**31 - 1))


@pytest.fixture
def passages(bench):
    first = bench.ready("Leave lasts thirty days", name="one.txt")
    second = bench.ready("Travel needs a form", name="two.txt")
    of = bench.catalog.passages.of_document
    return list(of(first.document_id)), list(of(second.document_id))


def test_a_trace_is_read_as_it_was(bench, passages) -> None:
    answers, trace = bench.catalog.answers, trace_of("Leave “lasts” 日本\u2028")
    answers.save(answer_from(passages[0], bench, "ans_1"), trace)
    stored = answers.trace("ans_1")
    assert stored is not None and (stored.model, stored.trace) == ("tiny", trace)
    assert "trace" not in answers.get("ans_1").payload and "token_ids" not in answers.get("ans_1").payload


def test_an_answer_for_which_the_decoder_was_not_asked_has_none(bench) -> None:
    bench.catalog.answers.save(answer_from([], bench, "ans_1"))
    assert bench.catalog.answers.trace("ans_1") is None
    with pytest.raises(NotFoundError, match="no answer"):
        bench.catalog.answers.trace("ans_2")


def test_a_deletion_empties_the_traces_that_may_hold_its_words(bench, passages) -> None:
    answers = bench.catalog.answers
    answers.save(answer_from(passages[0], bench, "ans_of_it"), trace_of("Leave lasts thirty days"))
    answers.save(answer_from([*passages[1], *passages[0]], bench, "ans_of_both"), trace_of("Leave and travel"))
    answers.save(answer_from(passages[1], bench, "ans_of_the_other"), trace_of("Travel needs a form"))
    said = Message(role="assistant", content="Leave lasts thirty days [1].")
    asked = Message(role="user", content="How long is leave?")
    answers.save(answer_from([], bench, "ans_follow_up"), trace_of("nothing", asked, said))
    bench.catalog.documents.delete(passages[0][0].document_id, bench.now)
    traces = {name: answers.trace(f"ans_{name}") for name in ("of_it", "of_both", "of_the_other", "follow_up")}
    assert {name: stored.trace is None for name, stored in traces.items()} == {
        "of_it": True,
        "of_both": True,
        "of_the_other": False,
        "follow_up": True,
    }
    assert all(stored.model == "tiny" for stored in traces.values())
    with bench.catalog.answers._database.read() as session:
        kept = session.execute(text("SELECT messages, token_ids FROM answer_traces")).all()
    assert sum(row == (None, None) for row in kept) == 3 and "Leave" not in str(kept)


def test_of_a_document_deleted_while_its_answer_was_made_no_trace_is_kept(bench, passages) -> None:
    bench.catalog.documents.delete(passages[0][0].document_id, bench.now)
    bench.catalog.answers.save(answer_from([*passages[0], *passages[1]], bench, "ans_1"), trace_of("Leave lasts"))
    stored = bench.catalog.answers.trace("ans_1")
    assert stored is not None and stored.trace is None


def test_evidence_given_with_the_question_stays(bench, passages) -> None:
    given = [dataclasses.replace(passages[0][0], document_id="given-1")]
    bench.catalog.answers.save(answer_from(given, bench, "ans_1"), trace_of("mine"))
    bench.catalog.documents.delete(passages[0][0].document_id, bench.now)
    stored = bench.catalog.answers.trace("ans_1")
    assert stored is not None and stored.trace == trace_of("mine")
