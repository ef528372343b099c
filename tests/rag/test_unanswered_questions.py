import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from llm.types import Cancel
from rag.cross_encoder import TokenScores
from rag.paragraphs import Asked, Paragraph
from rag.unanswered_questions import UnansweredQuestions
from rag.verify.found_answers import LookedUp
from rag.verify.windows import Stretch

SHOWN = Paragraph(
    title="Weskott",
    text="The mill of Weskott was founded by Ada Brandt in 1871.",
    questions=(Asked(question="Who founded the mill of Weskott?", answer="Ada Brandt"),),
)
LEFT_OUT = tuple(
    Paragraph(
        title="Weskott", text=f"The {thing} was painted by {who}.", questions=(Asked(question=asked, answer=who),)
    )
    for thing, who, asked in (
        ("mill", "Bo Lindgren", "Who painted the mill of Weskott?"),
        ("tower", "Cai Moreau", "What did he do to the tower?"),
        ("bridge", "Dag Novak", "Who built the bridge of Tallin?"),
        ("bridge", "Brandt", "Who sold the mill?"),
    )
)


@dataclass
class Reader:
    """Finds "Ada Brandt" for every question, the surer the more the table says."""

    pulls: dict[str, float]
    asked: list[str] = field(default_factory=list)

    def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
        self.asked.append(question)
        (text,) = evidence
        start = text.index("Ada Brandt")
        scores = np.array([[self.pulls.get(question, -5.0), self.pulls.get(question, -5.0)]], dtype=np.float32)
        read = TokenScores(
            values=scores, spans=((start, start + len("Ada Brandt")),), nowhere=np.zeros(2, dtype=np.float32)
        )
        return LookedUp(question=question, stretches=(Stretch(evidence=0, text=text),), scores=(read,))


def drawn(reader: Reader | None, seed: int, n: int = 4) -> list[tuple[bool, str]]:
    return list(UnansweredQuestions([SHOWN], LEFT_OUT, random.Random(seed), reader).draw(n))


@pytest.mark.parametrize("reader", [None, Reader({})])
def test_the_seed_decides_and_nothing_is_asked_twice(reader: Reader | None) -> None:
    for seed in range(40):
        found = drawn(reader, seed)
        assert found == drawn(reader, seed)
        assert len({question for _, question in found}) == len(found)


def test_what_the_shown_words_account_for_is_asked_without_a_reader() -> None:
    asked = [question for seed in range(60) for is_twin, question in drawn(None, seed, 1) if not is_twin]
    assert set(asked) <= {"Who painted the mill of Weskott?", "Who sold the mill?"}
    assert asked


def test_a_reader_chooses_what_seems_answered() -> None:
    reader = Reader({"Who built the bridge of Tallin?": 3.0})
    asked = [question for seed in range(80) for is_twin, question in drawn(reader, seed, 1) if not is_twin]
    share = asked.count("Who built the bridge of Tallin?") / len(asked)
    assert 0.7 < share < 1.0  # some are drawn at random all the same


def test_what_may_be_the_true_answer_in_other_words_is_not_preferred() -> None:
    reader = Reader({"Who sold the mill?": 9.0})  # finds "Ada Brandt", and the answer is "Brandt"
    asked = [question for seed in range(80) for is_twin, question in drawn(reader, seed, 1) if not is_twin]
    assert asked.count("Who sold the mill?") < len(asked) / 4


def test_of_several_twins_the_one_is_asked_that_seems_answered() -> None:
    reader = Reader({"Who founded the mill of Tallin?": 4.0})
    chosen = [question for seed in range(200) for is_twin, question in drawn(reader, seed, 1) if is_twin]
    plain = [question for seed in range(200) for is_twin, question in drawn(None, seed, 1) if is_twin]
    preferred = "Who founded the mill of Tallin?"
    assert chosen.count(preferred) / len(chosen) > 1.5 * plain.count(preferred) / len(plain) > 0


def test_without_questions_there_is_nothing_to_draw() -> None:
    bare = Paragraph(title="Bare", text="Nothing.", questions=())
    assert list(UnansweredQuestions([bare], [], random.Random(0), Reader({})).draw(3)) == []
