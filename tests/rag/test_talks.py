import random

import pytest

from rag.examples import make_examples
from rag.follow_up import leans
from rag.paragraphs import Asked, Paragraph
from rag.prompt import NOT_IN_DOCUMENTS
from rag.talks import leaning, talk_before

BEFORE = "Where did Ada Brandt live?"


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("When did Ada Brandt die?", "She built it. She left.", "When did she die?"),
        ("Who was painted by Ada Brandt?", "Then she left.", "Who was painted by her?"),
        ("What is the name of Ada Brandt's mill?", "He left. He died.", "What is the name of his mill?"),
        ("When was Ada Brandt built?", "A ship.", "When was it built?"),
        ("How long were the Ada Brandt at sea?", "They left.", "How long were they at sea?"),
        ("Who sailed the ship Ada Brandt?", "It left.", None),  # a pronoun cannot stand there
        ("When did Bo Lindgren die?", "He left.", None),
        ("When did she die?", "She left.", None),
    ],
)
def test_a_name_that_was_just_said_becomes_a_pronoun(question: str, text: str, expected: str | None) -> None:
    assert leaning(question, BEFORE, text) == expected


def test_an_exchange_is_about_what_was_shown_then() -> None:
    known = (Asked(question="Who built the mill?", answer=" Ada Brandt "), Asked(question="When?", answer="1871"))
    drawn = [talk_before(known, 2, random.Random(seed), going_on=False) for seed in range(200)]
    answers = {(talk.question, talk.answer) for talk in drawn if talk is not None}
    assert answers == {
        (asked.question, answer) for asked in known for answer in (asked.answer.strip(), NOT_IN_DOCUMENTS)
    }
    assert talk_before((), 2, random.Random(1), going_on=True) is None


PARAGRAPHS = tuple(
    Paragraph(
        title="Mills",
        text=f"The mill of Weskott {city} stood in the north for two hundred years. In {1700 + n} it was founded by "
        f"{person}. It burned down before the war.",
        questions=(
            Asked(question=f"When was Weskott {city} founded?", answer=str(1700 + n)),
            Asked(question=f"Who was the founder of Weskott {city}?", answer=person),
        ),
    )
    for n, (city, person) in enumerate([("A", "Ada"), ("B", "Bo"), ("C", "Cai"), ("D", "Dag"), ("E", "Eva")])
)


def test_second_turns_are_written_as_the_service_writes_them() -> None:
    examples = [
        one for one in make_examples({"Mills": PARAGRAPHS}, n_groups=300, rng=random.Random(2)) if one.talk is not None
    ]
    seen = set()
    for example in examples:
        talk = example.talk
        assert talk is not None and example.question != talk.question
        last = example.messages[-1].content
        roles = [message.role for message in example.messages]
        order = [last.index(f"\n\n[{n}] " if not last.startswith(f"[{n}] ") else f"[{n}] ") for n in markers(example)]
        if talk.way == "history":
            assert roles == ["system", "user", "assistant", "user"]
            assert [message.content for message in example.messages[1:3]] == [talk.question, talk.answer]
            assert order == sorted(order, reverse=True)
        else:
            assert roles == ["system", "user"]
            known, new = order[: talk.n_known], order[talk.n_known :]
            assert [*known[::-1], *new[::-1]] == sorted(order)  # those of the prompt before, then the new ones
            told = f"Earlier question: {talk.question}\nEarlier answer: {talk.answer}\n\nQuestion: {example.question}"
            assert (told in last) == leans(example.question)
        seen.add((talk.way, leans(example.question)))
    assert len(seen) == 4


def markers(example) -> range:
    return range(1, len(example.passages) + 1)
