import gzip
import json
import random
from pathlib import Path

import pytest

from rag.errors import InvalidInputError
from rag.verify.altered import (
    answer_kind,
    ask_whether,
    changed_number,
    negate,
    reordered,
    swap_names,
    without_fact,
)
from rag.verify.built_pairs import PairBuilder
from rag.verify.declare import declare
from rag.verify.pairs import (
    CONTRADICTED,
    NOT_SUPPORTED,
    SUPPORTED,
    UNSUPPORTED,
    Paragraph,
    Question,
    TrainingPair,
    detokenize,
    joined,
    only,
    part_of,
    read_labelled,
    read_paragraphs,
    varied,
)

TEXT = (
    "The old bridge in Ulm was opened in 1883 by Helene Roth. It is 210 metres long. In 1901 a storm damaged it, and "
    "Otto Hall repaired it for 5,000 marks."
)


def question(text: str, answer: str) -> Question:
    return Question(text=text, answer=answer, answer_start=TEXT.index(answer))


PARAGRAPHS = [
    Paragraph(
        title="Bridge",
        text=TEXT,
        questions=(
            question("When was the old bridge opened?", "1883"),
            question("Who opened the old bridge?", "Helene Roth"),
            question("How many metres is the bridge long?", "210"),
            question("When did a storm damage the bridge?", "1901"),
            question("Who repaired the bridge?", "Otto Hall"),
        ),
    ),
    Paragraph(
        title="Bridge",
        text="Bridges of stone last longer than those of wood. Many were built in Rome by Marcus Agrippa in 27.",
        questions=(Question(text="Who built bridges in Rome?", answer="Marcus Agrippa", answer_start=76),),
    ),
]


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        ("When was Ada born?", "1815", "Ada was born in 1815."),
        ("When was the treaty signed?", "May 3, 1815", "The treaty was signed on May 3, 1815."),
        ("Where is the museum located?", "Ulm", "The museum is located in Ulm."),
        ("Who wrote the notes?", "Ada Lovelace", "Ada Lovelace wrote the notes."),
        ("How many people were killed?", "69,197", "69,197 people were killed."),
        ("What is the capital of France?", "Paris", "The capital of France is Paris."),
        ("What city hosted the games?", "London", "London hosted the games."),
        ("London was honored with what in 2005?", "the games", "London was honored with the games in 2005."),
        ("Why is the sky blue?", "scattering", None),
    ],
)
def test_question_and_answer_become_a_statement(asked: str, answer: str, said: str | None) -> None:
    assert declare(asked, answer) == said


def test_built_pairs_follow_their_recipes() -> None:
    pairs = PairBuilder(PARAGRAPHS, random.Random(0)).build(400)
    by_source: dict[str, list[TrainingPair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    assert {pair.label for pair in by_source["squad_right"]} == {SUPPORTED}
    assert {pair.label for pair in by_source["squad_foreign"]} == {UNSUPPORTED}
    roles = PairBuilder(PARAGRAPHS, random.Random(0)).build(5, only=("roles",))
    assert {pair.label for pair in roles} == {NOT_SUPPORTED}
    for pair in by_source["squad_swapped"]:
        assert pair.label in (CONTRADICTED, NOT_SUPPORTED)
        assert pair.claim not in {one.claim for one in by_source["squad_right"]}
    assert any("1901" in pair.claim and "When was the old bridge" in pair.claim for pair in by_source["squad_swapped"])


def test_the_same_generator_builds_the_same_pairs() -> None:
    first, second = (PairBuilder(PARAGRAPHS, random.Random(7)).build(50) for _ in range(2))
    assert first == second
    assert first != PairBuilder(PARAGRAPHS, random.Random(8)).build(50)


def test_alterations() -> None:
    rng = random.Random(0)
    assert changed_number("Opened in 1883.", rng) not in (None, "Opened in 1883.")
    assert changed_number("No number.", rng) is None
    assert negate("The bridge was opened.") == "The bridge was not opened."
    assert negate("It did not burn.") == "It did burn."
    assert negate("Cats sleep.") is None
    assert swap_names("In Rome, Helene Roth met Otto Hall.", random.Random(1)) != "In Rome, Helene Roth met Otto Hall."
    assert swap_names("Nobody came.", rng) is None
    assert reordered("In 1901, a storm damaged the old bridge.", random.Random(3)) in (
        "In 1901, a storm damaged the old bridge.",
        "A storm damaged the old bridge in 1901.",
    )


def test_a_fact_is_taken_out() -> None:
    rest, fact = without_fact("The old bridge over the river was opened in 1883.", random.Random(0)) or ("", "")
    assert (rest, fact) == ("The old bridge over the river was opened.", " in 1883")
    assert without_fact("Cats sleep.", random.Random(0)) is None


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("The old bridge was opened in 1883.", "Was the old bridge opened in 1883?"),
        ("Helene Roth could open the bridge.", "Could Helene Roth open the bridge?"),
        ("Cats sleep.", None),
        ("The bridge was not opened.", None),
    ],
)
def test_a_statement_becomes_a_question(said: str, asked: str | None) -> None:
    assert ask_whether(said) == asked


@pytest.mark.parametrize("recipe", ["beside", "choice", "yes_or_no", "cut_off"])
def test_what_an_answer_is_to_its_question_makes_the_label(recipe: str) -> None:
    pairs = PairBuilder(PARAGRAPHS, random.Random(3)).build(40, only=(recipe,))
    assert pairs
    assert all(pair.source == f"squad_{recipe}" for pair in pairs)
    for pair in pairs:
        asked, said = (part.strip() for part in pair.claim.split("?"))
        right = next((q.answer for p in PARAGRAPHS for q in p.questions if q.text.startswith(asked.split(",")[0])), "")
        if recipe == "choice":
            assert said in asked
            assert (pair.label == SUPPORTED) == (said == right)
        elif recipe == "yes_or_no":
            facts = (("1883", "opened"), ("Helene Roth", "opened"), ("210", "long"), ("Otto Hall", "repaired"))
            is_so = any(one in asked and other in asked for one, other in facts)
            assert (pair.label == SUPPORTED) == (said.rstrip(".").casefold() == ("yes" if is_so else "no"))
        else:
            assert pair.label == UNSUPPORTED
            assert right not in said


def test_kinds_of_answers() -> None:
    assert answer_kind("When?", "1883") == "year"
    assert answer_kind("How many?", "210") == "number"
    assert answer_kind("Who opened it?", "Helene Roth") == "who_name_short"


def test_labelled_pairs_are_read_and_split_by_evidence(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl.gz"
    rows = [
        {
            "evidence": f"Text {number % 40} -LRB- old -RRB- .",
            "claim": "It 's old .",
            "label": "supported",
            "source": "fever",
        }
        for number in range(80)
    ]
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    pairs = read_labelled(path)
    assert pairs[0].evidence == "Text 0 (old)."
    assert pairs[0].claim == "It's old."
    parts = [{pair.evidence for pair in only(pairs, part)} for part in ("train", "calibration", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40
    assert part_of("Text 0 (old).") == part_of("Text 0 (old).")


def test_an_unknown_label_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.write(json.dumps({"evidence": "a", "claim": "b", "label": "maybe", "source": "x"}))
    with pytest.raises(InvalidInputError, match="maybe"):
        read_labelled(path)
    with pytest.raises(InvalidInputError, match="missing"):
        read_paragraphs(tmp_path / "none.gz")


def test_variations_keep_labels_and_join_facts() -> None:
    pairs = [
        TrainingPair(evidence=f"Text number {n}.", claim=f"Claim {n}.", label=n % 2 * CONTRADICTED, source="fm2")
        for n in range(60)
    ]
    for pair in varied(pairs, random.Random(0)):
        original = pairs[int(pair.claim.split()[1].rstrip("."))]
        assert pair.label == (UNSUPPORTED if pair.source == "fm2_foreign" else original.label)
    for pair in joined(pairs, random.Random(0)):
        numbers = [part.strip(".,") for part in pair.claim.split() if part.strip(".,").isdigit()]
        n_there = sum(f"number {number}." in pair.evidence for number in numbers)
        assert pair.label == (SUPPORTED if n_there == 2 else UNSUPPORTED)


def test_detokenize() -> None:
    assert (
        detokenize("Shaun of the Dead ( 2004 ) , and The World 's End .")
        == "Shaun of the Dead (2004), and The World's End."
    )
