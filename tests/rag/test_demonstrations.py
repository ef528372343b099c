import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from llm.types import Message
from rag.demonstrations import Demonstration, Fixed, Nearest, best_set, read_demonstrations
from rag.errors import InvalidInputError
from rag.hashing_embedder import HashingEmbedder
from rag.prompt import build_evidence_prompt
from rag.prompt_passage import Evidence

POOL = tuple(
    Demonstration(question=f"When was the {what} built?", passage=f"The {what} of [1] is of {year}.", answer=year)
    for what, year in (("mill", "1871"), ("bridge", "1902"), ("church", "1640"), ("harbour", "1755"))
)


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) + 1 for message in messages)


def prompt(shown: Sequence[Demonstration], budget: int = 400) -> tuple[Message, ...]:
    built = build_evidence_prompt(
        "Who runs the mill?",
        [Evidence(id="a", text="Ada runs the mill.")],
        token_budget=budget,
        count_tokens=count,
        history=(Message(role="user", content="Hello"), Message(role="assistant", content="Yes")),
        demonstrations=[one.turns() for one in shown],
    )
    assert built.n_tokens <= budget
    assert [passage.document_name for passage in built.passages] == [built.passages[0].document_name]
    return built.messages


def test_demonstrations_are_turns_before_the_history_and_ask_as_the_service_asks() -> None:
    messages = prompt(POOL[:2])
    assert [message.role for message in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert [message.content for message in messages if message.role == "assistant"] == ["1871", "1902", "Yes"]
    assert messages[1].content.split("\n")[0] == "[1] The mill of (1) is of 1871."
    assert messages[1].content.split("\n")[-1] == messages[-1].content.split("\n")[-1]


def test_they_take_at_most_half_of_the_budget_and_the_last_ones_stay() -> None:
    one = count(POOL[0].turns())
    needed = count(prompt((), budget=400))
    budget = max(2 * (2 * one), needed + 2 * one)
    answers = [message.content for message in prompt(POOL, budget=budget) if message.role == "assistant"]
    assert answers[-1] == "Yes"
    shown = answers[:-1]
    assert 0 < len(shown) < len(POOL)
    assert shown == [one.answer for one in POOL[-len(shown) :]]


def test_the_nearest_stands_last_and_the_question_itself_is_left_out() -> None:
    nearest = Nearest(POOL, lambda: HashingEmbedder(256), 2)
    assert nearest.choose("When was the old bridge built?")[-1] == POOL[1]
    assert POOL[1] not in nearest.choose("when was the bridge built? ")
    assert len(nearest.choose("anything")) == 2


def test_the_search_finds_the_set_that_answers_best() -> None:
    asked: list[int] = []

    def score(shown: Fixed, n_cases: int) -> float:
        asked.append(n_cases)
        return sum(int(one.answer) for one in shown.choose("")) / 1000

    best = best_set(POOL, n=1, n_sets=40, score=score, n_cases=2, rng=random.Random(0))
    assert best.shown == (POOL[1],)
    assert asked[:40] == [2] * 40
    assert asked[40:60] == [4] * 20
    assert len(asked) == 40 + 20 + 10 + 5 + 3 + 2


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "shown.jsonl"
    row = {"question": "When?", "passage": "In 1871.", "answer": "1871"}
    path.write_text(json.dumps(row) + "\n")
    assert read_demonstrations(path) == (Demonstration(question="When?", passage="In 1871.", answer="1871"),)
    for wrong in ("", "[]\n", "x\n", json.dumps({**row, "answer": 3}), json.dumps({**row, "passage": " "})):
        path.write_text(wrong)
        with pytest.raises(InvalidInputError, match="question, passage and answer"):
            read_demonstrations(path)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_demonstrations(tmp_path / "none.jsonl")
