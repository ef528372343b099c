"""The sets that a verifier is measured on, as claims with their evidence.

DATA holds verify_dev/ (WiCE dev, HaluEval QA, SciFact), verify_train/ and squad_train/. Claims of WiCE are positive
where they are `supported` (partially supported ones are not). HaluEval's right answers are short and its hallucinated
ones are sentences, so length alone tells them apart: it is measured as it comes, cut to the first sentence without its
full stop, and with both answers of a question cut to as many words as the shorter one has.
"""

import gzip
import json
import pathlib
import random
from collections.abc import Callable, Iterator

from rag.text import split_sentences
from rag.verify.built_pairs import PairBuilder
from rag.verify.fact_pairs import FactBuilder
from rag.verify.held_back import Case, as_claim, held_back_cases
from rag.verify.pairs import (
    NOT_SUPPORTED,
    SUPPORTED,
    Paragraph,
    TrainingPair,
    only,
    part_of,
    read_labelled,
    read_paragraphs,
)
from rag.verify.polar_facts import PolarBuilder
from rag.verify.rival_pairs import RivalBuilder
from rag.verify.train import PAIRS_FILE, PARAGRAPHS_FILE
from rag.verify.types import StatedClaim

ADVERSARIAL = (
    "swapped",
    "other_question",
    "roles",
    "sentence_number",
    "sentence_swapped",
    "negated",
    "right",
    "sentence",
)


def rows(path: pathlib.Path) -> Iterator[dict]:
    """The objects of a gzipped JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def claim(text: str, question: str | None = None) -> StatedClaim:
    """A claim that is the whole of a text."""
    return StatedClaim(text=text, start=0, end=len(text), question=question)


def wice(path: pathlib.Path, joint: str) -> list[Case]:
    """WiCE: one claim against one web page, or against the oracle chunk of it."""
    return [
        Case(
            claim=claim(row["claim"]),
            evidence=(joint.join(row["evidence"]),),
            label=SUPPORTED if row["label"] == "supported" else NOT_SUPPORTED,
            source="wice",
        )
        for row in rows(path)
    ]


def halueval(folder: pathlib.Path, cut: Callable[[str, str], tuple[str, str]]) -> list[Case]:
    """Right and hallucinated answers with their questions, after `cut`."""
    cases = []
    for name in ("qa_one-turn_data", "qa_multi-turn_data"):
        for row in rows(folder / f"{name}.jsonl.gz"):
            answers = cut(row["right_answer"], row["hallucinated_answer"])
            for text, label in zip(answers, (SUPPORTED, NOT_SUPPORTED), strict=True):
                cases.append(
                    Case(claim=claim(text, row["question"]), evidence=(row["knowledge"],), label=label, source=name)
                )
    return cases


def as_it_comes(right: str, wrong: str) -> tuple[str, str]:
    """No cut."""
    return right, wrong


def first_sentence(right: str, wrong: str) -> tuple[str, str]:
    """The first sentence of each, without its full stop."""
    cut = [split_sentences(text)[0].cut(text) if split_sentences(text) else text for text in (right, wrong)]
    return cut[0].rstrip(" .!"), cut[1].rstrip(" .!")


def same_words(right: str, wrong: str) -> tuple[str, str]:
    """As many words of each as the shorter one has."""
    one, other = right.split(), wrong.split()
    n_words = min(len(one), len(other))
    return " ".join(one[:n_words]).rstrip(" .,;!"), " ".join(other[:n_words]).rstrip(" .,;!")


def scifact(folder: pathlib.Path) -> list[Case]:
    """SciFact claims with their evidence sentences."""
    return [
        Case(
            claim=claim(row["claim"]),
            evidence=(row["evidence"],),
            label=SUPPORTED if row["label"] == "entailment" else NOT_SUPPORTED,
            source="scifact",
        )
        for part in ("train", "dev")
        for row in rows(folder / f"{part}.jsonl.gz")
    ]


def labelled_test(data: pathlib.Path) -> list[Case]:
    """The test part of verify_train, split off by evidence text."""
    return of_pairs(only(read_labelled(data / PAIRS_FILE), "test"))


def built_test(data: pathlib.Path) -> list[Case]:
    """Claims built from articles of SQuAD train that nothing was trained on or fitted to."""
    return held_back_cases(data, "test", n_labelled=0, n_built=1_500, seed=11)


def of_pairs(pairs: list[TrainingPair]) -> list[Case]:
    """Built pairs as claims."""
    return [
        Case(claim=as_claim(pair.claim), evidence=(pair.evidence,), label=pair.label, source=pair.source)
        for pair in pairs
    ]


def test_paragraphs(data: pathlib.Path) -> list[Paragraph]:
    """Of articles that nothing was trained on or fitted to."""
    return [one for one in read_paragraphs(data / PARAGRAPHS_FILE) if part_of(one.title) == "test"]


def rivals(data: pathlib.Path) -> list[Case]:
    """Each question with its answer and with another thing of its kind that stands beside it."""
    return of_pairs(RivalBuilder(test_paragraphs(data), random.Random(5)).build(1_000))


def made_up() -> list[Case]:
    """Questions about things that do not exist, their names and facts drawn from the lists of training."""
    return of_pairs(FactBuilder(random.Random(99)).build(1_000))


def stated_rivals(data: pathlib.Path) -> list[Case]:
    """Statements that answer a question, with its answer and with another thing of its kind that stands beside it."""
    return of_pairs(RivalBuilder(test_paragraphs(data), random.Random(6), is_stated=True).build(600))


def polar() -> list[Case]:
    """What rules that do not exist allow and forbid, worded from the lists of training."""
    return of_pairs(PolarBuilder(random.Random(98)).build(600))


def yes_or_no(data: pathlib.Path) -> list[Case]:
    """Questions whether something is so, with "yes" and "no"."""
    return of_pairs(PairBuilder(test_paragraphs(data), random.Random(3)).build(400, only=("yes_or_no",)))


SETS: dict[str, Callable[[pathlib.Path], list[Case]]] = {
    "WiCE dev, oracle chunks": lambda data: wice(data / "verify_dev/wice/claim_oracle_chunks_dev.jsonl.gz", " "),
    "WiCE dev, full pages": lambda data: wice(data / "verify_dev/wice/claim_dev.jsonl.gz", "\n"),
    "HaluEval QA, as it comes": lambda data: halueval(data / "verify_dev/halueval", as_it_comes),
    "HaluEval QA, first sentence": lambda data: halueval(data / "verify_dev/halueval", first_sentence),
    "HaluEval QA, same number of words": lambda data: halueval(data / "verify_dev/halueval", same_words),
    "SciFact": lambda data: scifact(data / "verify_dev/scifact_nli"),
    "verify_train, test part": labelled_test,
    "built from SQuAD train, test part": built_test,
    "answers beside others of their kind (SQuAD train, test part)": rivals,
    "made-up facts, asked for": lambda data: made_up(),
    "statements beside others of their kind (SQuAD train, test part)": stated_rivals,
    "what is so and what is not (made up)": lambda data: polar(),
    "yes or no (SQuAD train, test part)": yes_or_no,
}
