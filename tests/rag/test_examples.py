import json
import random
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.altered_paragraphs import same_kind
from rag.errors import InvalidInputError
from rag.examples import make_examples
from rag.markers import drop_markers, find_markers
from rag.paragraphs import Asked, Paragraph, is_held_out, read_paragraphs
from rag.preferences import make_pairs
from rag.prompt import NOT_IN_DOCUMENTS, grounded_messages

CITIES = ("Lindenhof", "Marwick", "Osterby", "Tallin", "Varnholm", "Weskott")
PEOPLE = ("Ada Brandt", "Bo Lindgren", "Cai Moreau", "Dag Novak", "Eva Sorel", "Fay Ulrich")


def article(title: str, shift: int) -> tuple[Paragraph, ...]:
    """Paragraphs in which every answer stands once and nowhere else."""
    paragraphs = []
    for n, (city, person) in enumerate(zip(CITIES, PEOPLE, strict=True)):
        year = 1500 + 20 * n + shift
        city, person = f"{city}{title[-1]}", f"{person}{title[-1]}"
        paragraphs.append(
            Paragraph(
                title=title,
                text=f"The first mill of {city} stood on the northern bank of its river for two hundred and ten years. "
                f"It was founded in {year} by {person}. It burned down before the war.",
                questions=(
                    Asked(question=f"When was the first mill of {city} founded?", answer=str(year)),
                    Asked(question=f"Who founded the first mill of {city}?", answer=person),
                    Asked(question=f"Where did {person} found a mill in {year}?", answer=city),
                ),
            )
        )
    return tuple(paragraphs)


ARTICLES = {"Mills A": article("Mills A", 0), "Mills B": article("Mills B", 7)}
TRUTH = {
    asked.question: asked.answer for one in ARTICLES.values() for paragraph in one for asked in paragraph.questions
}

seeds = st.integers(0, 10_000)


def shown(example) -> list[str]:
    return [" ".join(run.text for run in passage.runs) for passage in example.passages]


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_seed_decides_the_examples(seed: int) -> None:
    first, second = (list(make_examples(ARTICLES, n_groups=3, rng=random.Random(seed))) for _ in range(2))
    assert first == second


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_what_is_to_be_written_stands_in_the_passage_that_is_cited(seed: int) -> None:
    for example in make_examples(ARTICLES, n_groups=4, rng=random.Random(seed)):
        if example.talk is None:
            assert example.messages == grounded_messages(example.question, example.passages)
        if example.kind not in ("answerable", "swapped"):
            continue
        (marker,) = find_markers(example.answer)
        (number,) = marker.numbers
        words = drop_markers(example.answer).strip()
        assert words in shown(example)[number - 1]
        if example.kind == "answerable" and example.question in TRUTH:  # others lean on the question before
            assert words == TRUTH[example.question]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_swapped_passage_says_the_other_answer_and_no_longer_the_true_one(seed: int) -> None:
    for example in make_examples(ARTICLES, n_groups=6, rng=random.Random(seed)):
        if example.kind == "swapped":
            words, truth = drop_markers(example.answer).strip(), TRUTH[example.question]
            assert words != truth
            assert same_kind(words, truth)
            assert not any(truth in text for text in shown(example))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_what_cannot_be_answered_is_not_in_the_passages(seed: int) -> None:
    for example in make_examples(ARTICLES, n_groups=4, rng=random.Random(seed)):
        if example.answer == NOT_IN_DOCUMENTS:
            assert example.kind in ("left_out", "twin", "cut")
        if example.kind in ("left_out", "cut") and example.question in TRUTH:
            assert not any(TRUTH[example.question].casefold() in text.casefold() for text in shown(example))
        if example.kind == "twin":
            assert example.question not in {
                asked.question
                for one in ARTICLES.values()
                for paragraph in one
                if paragraph.text in shown(example)
                for asked in paragraph.questions
            }


def test_what_is_asked_in_a_sentence_or_twice_is_answered_so() -> None:
    kinds = {"sentence": 0, "two": 0}
    for example in make_examples(ARTICLES, n_groups=300, rng=random.Random(3)):
        if example.kind == "sentence":
            question = example.question.removesuffix(" Answer in a full sentence.")
            if question not in TRUTH:
                continue
            (marker,) = find_markers(example.answer)
            assert TRUTH[question] in example.answer[: marker.start]
            assert TRUTH[question] in shown(example)[marker.numbers[0] - 1]
        if example.kind == "two":
            asked = [one for one in TRUTH if one in example.question]
            if example.talk is not None and len(asked) < 2:
                continue
            assert len(asked) == 2
            for question, marker in zip(
                sorted(asked, key=example.question.index), find_markers(example.answer), strict=True
            ):
                assert TRUTH[question] in shown(example)[marker.numbers[0] - 1]
        kinds[example.kind] = kinds.get(example.kind, 0) + 1
    assert min(kinds["sentence"], kinds["two"]) > 3


def test_examples_of_a_group_share_their_passages_and_every_kind_occurs() -> None:
    examples = list(make_examples(ARTICLES, n_groups=200, rng=random.Random(5)))
    assert {example.kind for example in examples} == {
        "answerable", "sentence", "two", "swapped", "left_out", "twin", "cut", "cell"
    }  # fmt: skip
    groups = {example.group for example in examples}
    assert len(groups) > 190  # one whose only question was asked before, or has no twin, is empty
    for group in groups:
        assert len({example.passages for example in examples if example.group == group}) == 1
    unanswerable = sum(example.answer == NOT_IN_DOCUMENTS for example in examples) / len(examples)
    assert 0.2 < unanswerable < 0.4
    row = next(example for example in examples if example.talk is None).as_row()
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
    assert row["messages"][-1]["content"] == next(example for example in examples if example.talk is None).answer


def test_paragraphs_are_read_by_title(tmp_path: Path) -> None:
    row = {"title": "Mills_A", "context": "Text.", "questions": [{"question": " Who \n built it?", "answer": "Bo"}]}
    (tmp_path / "paragraphs.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "questions": []}))
    found = read_paragraphs(tmp_path / "paragraphs.jsonl")
    assert list(found) == ["Mills A"]
    assert found["Mills A"][0].questions == (Asked(question="Who built it?", answer="Bo"),)
    assert len(found["Mills A"]) == 2


@pytest.mark.parametrize("line", ["nothing", "[]", '{"title": "a"}', '{"title": 3, "context": "", "questions": []}'])
def test_a_line_that_is_no_paragraph_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "paragraphs.jsonl").write_text(line)
    with pytest.raises(InvalidInputError, match=r"paragraphs\.jsonl line 1"):
        read_paragraphs(tmp_path / "paragraphs.jsonl")


def test_about_a_tenth_of_the_titles_is_held_out_however_blanks_are_written() -> None:
    titles = [f"Title {n}" for n in range(2000)]
    assert 0.07 < sum(map(is_held_out, titles)) / 2000 < 0.13
    assert all(is_held_out(title) == is_held_out(title.replace(" ", "_")) for title in titles)


@settings(max_examples=40, deadline=None)
@given(seeds)
@hypothesis.example(521)  # another question of the group is answered in a whole sentence
def test_the_answer_that_is_not_preferred_is_wrong_in_the_way_it_says(seed: int) -> None:
    pairs = list(make_pairs(ARTICLES, n_groups=4, rng=random.Random(seed)))
    assert pairs == list(make_pairs(ARTICLES, n_groups=4, rng=random.Random(seed)))
    for pair in pairs:
        passages = pair.messages[-1].content
        assert pair.chosen != pair.rejected
        chosen, rejected = (drop_markers(answer).strip() for answer in (pair.chosen, pair.rejected))
        if pair.kind == "answered":
            assert pair.chosen == NOT_IN_DOCUMENTS != pair.rejected
            continue
        assert pair.chosen != NOT_IN_DOCUMENTS
        if pair.kind == "withheld":
            assert pair.rejected == NOT_IN_DOCUMENTS
        elif pair.kind == "miscited":
            assert chosen == rejected
            (right,), (wrong,) = (find_markers(answer) for answer in (pair.chosen, pair.rejected))
            blocks = {block[: block.index("]") + 1]: block for block in passages.split("\n\n") if block.startswith("[")}
            assert chosen in blocks[f"[{right.numbers[0]}]"]
            assert chosen.casefold() not in blocks[f"[{wrong.numbers[0]}]"].casefold()
        elif pair.kind == "misread":
            assert rejected in passages
        else:
            assert pair.kind in ("invented", "remembered")
            assert rejected.casefold() not in passages.split("Question:")[0].casefold()
            assert same_kind(chosen, rejected)


def test_every_kind_of_pair_occurs_and_has_a_row() -> None:
    pairs = list(make_pairs(ARTICLES, n_groups=150, rng=random.Random(3)))
    assert {pair.kind for pair in pairs} == {"invented", "misread", "remembered", "miscited", "withheld", "answered"}
    row = pairs[0].as_row()
    assert (row["chosen"], row["rejected"]) == (pairs[0].chosen, pairs[0].rejected)
    assert [turn["role"] for turn in row["messages"]] == ["system", "user"]
