from pathlib import Path

import pytest

from llm.types import SamplingParams
from rag.errors import InvalidInputError
from rag.evaluation.systems import read_system, seeded


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("closed_book", "closed_book", {"mode": "closed_book"}),
        ("mine", "mine", {"mode": "grounded"}),
        ("narrow:k=2", "narrow", {"mode": "grounded", "k": 2}),
        ("gold:mode=oracle,model=SmolLM2-360M-Instruct", "gold", {"mode": "oracle", "model": "SmolLM2-360M-Instruct"}),
        (
            "warm: retriever=lexical, temperature=0.7, max_new_tokens=64, policy=strict",
            "warm",
            {
                "mode": "grounded",
                "retriever": "lexical",
                "policy": "strict",
                "sampling": {"temperature": 0.7, "max_new_tokens": 64},
            },
        ),
    ],
)
def test_a_system_is_named_with_its_settings(text: str, name: str, settings: dict[str, object]) -> None:
    named = read_system(text)
    assert (named.name, named.settings, named.answers_path) == (name, settings, None)


def test_a_file_holds_answers_made_elsewhere_whatever_its_path() -> None:
    named = read_system("theirs=runs/a:b,c=d.jsonl")
    assert (named.name, named.settings, named.answers_path) == ("theirs", {}, Path("runs/a:b,c=d.jsonl"))


@pytest.mark.parametrize(
    "text",
    ["", ":k=2", "=answers.jsonl", "a=", "a:", "a:k", "a:k=", "a:depth=3", "a:k=two", "a:temperature=hot", "a:mode=x"],
)
def test_what_names_no_system_is_one_line_that_says_how(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_system(text)
    assert "--system" in str(caught.value) and "\n" not in str(caught.value)


def test_each_case_draws_by_itself_and_greedy_draws_nothing() -> None:
    greedy, warm = SamplingParams(), SamplingParams(temperature=0.7)
    assert seeded(greedy, 1, "a") is greedy
    assert seeded(SamplingParams(temperature=0.7, seed=5), 1, "a").seed == 5
    seeds = {seeded(warm, seed, case).seed for seed in (1, 2) for case in ("a", "b")}
    assert len(seeds) == 4
    assert seeded(warm, 1, "a").seed == seeded(warm, 1, "a").seed
