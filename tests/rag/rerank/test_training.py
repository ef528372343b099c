"""Searching, training, fitting, packaging and loading, end to end with a tiny random encoder."""

import dataclasses
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llm.types import Device
from rag.errors import InvalidInputError, NotReadyError
from rag.hashing_embedder import HashingEmbedder
from rag.paragraphs import Asked, Paragraph
from rag.rerank.fused import load_reranker
from rag.rerank.reorder import reorder
from rag.rerank.shipped import WEIGHTS_FILE, read_parameters, write_parameters
from rag.rerank.signals import FEATURES
from rag.rerank_training.fit import ReadQuestion, fit_both, measure
from rag.rerank_training.lists import MAX_DEPTH, RankedQuestion, read_lists, search_questions, write_lists
from rag.rerank_training.loop import N_WRONG, TrainSettings, lessons, listwise_loss, train_cross_encoder
from rag.rerank_training.package import CARD_FILE, Held, make_package
from rag.token_counter import load_tokenizer
from rag.weight_changes import as_classifier

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)
SETTINGS = TrainSettings(seed=1, batch_tokens=1_600, peak_lr=3e-3, checkpoint_seconds=0)
COLOURS = ("red", "old", "blue", "green", "white")


def article(number: int) -> tuple[Paragraph, ...]:
    return tuple(
        Paragraph(
            title=f"Bridge {number}",
            text=f"The {colour} bridge {number} was opened in {1800 + 7 * number + place}. Cats sleep on it all day.",
            questions=(
                Asked(question=f"When was the {colour} bridge {number} opened?", answer=str(1800 + 7 * number + place)),
                Asked(question=f"What opened in {1800 + 7 * number + place}?", answer=f"the {colour} bridge"),
            ),
        )
        for place, colour in enumerate(COLOURS)
    )


def searched(first: int, n_articles: int, n_questions: int, *, headed: bool = False) -> list[RankedQuestion]:
    articles = {f"Bridge {n}": article(n) for n in range(first, first + n_articles)}
    embedder = HashingEmbedder(64)
    return search_questions(articles, embedder, n_questions=n_questions, headed=headed, rng=random.Random(3))


@pytest.fixture(scope="module")
def lists() -> list[RankedQuestion]:
    return searched(0, 4, 40)


@pytest.fixture(scope="module")
def weights(tiny_base: Path) -> dict[str, torch.Tensor]:
    return as_classifier(load_file(tiny_base / "model.safetensors"))


@pytest.fixture(scope="module")
def trained(lists, weights, tiny_base: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    rows: list[dict[str, float]] = []
    folder = train_cross_encoder(lists * 6, tiny_base, weights, out, SETTINGS, CPU, report=rows.append)
    assert [row["step"] for row in rows] == list(range(1, rows[0]["n_steps"] + 1))
    first, last = (np.mean([row["loss"] for row in part]) for part in (rows[:5], rows[-5:]))
    assert first == pytest.approx(math.log(1 + N_WRONG), abs=0.3) and last < first - 0.1
    return folder


@pytest.fixture(scope="module")
def package(trained: Path, tiny_base: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("weights")
    held = Held(fit=searched(4, 2, 12), test=searched(6, 2, 8), test_headed=searched(6, 2, 4, headed=True))
    make_package(trained, tiny_base, out, CPU, depth=4, held=held, about="- **Command**: `here`", say=lambda line: None)
    return out


def test_a_question_is_searched_as_the_service_does(lists) -> None:
    assert len(lists) == 40
    for one in lists:
        assert len(one.hits) == MAX_DEPTH and [hit.rank for hit in one.hits] == list(range(1, MAX_DEPTH + 1))
        assert sum(one.labels) <= 1
        assert one.right.text in [hit.passage.text for hit in one.hits] or not any(one.labels)
    assert sum(one.labels[0] for one in lists) > 10
    headed = searched(0, 2, 3, headed=True)
    assert all(hit.passage.heading in ("Bridge 0", "Bridge 1") for one in headed for hit in one.hits)
    with pytest.raises(InvalidInputError, match="nothing is asked"):
        empty = Paragraph(title="t", text="Cats sleep.", questions=())
        search_questions({"t": [empty]}, HashingEmbedder(8), n_questions=1, headed=False, rng=random.Random(1))


def test_lists_come_back_as_they_were_written(lists, tmp_path: Path) -> None:
    write_lists(lists, tmp_path / "deep/lists.json")
    assert read_lists(tmp_path / "deep/lists.json") == lists


def test_wrong_passages_do_not_hold_the_answer(lists, tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.enable_truncation(24, strategy="longest_first")
    made = lessons(lists, tokenizer, random.Random(1))
    assert len(made) == len(lists) and all(len(pairs) == 1 + N_WRONG for pairs in made)
    assert all(len(ids) <= 24 and len(ids) == len(types) for pairs in made for ids, types in pairs)
    everywhere = [dataclasses.replace(one, answer="cats") for one in lists]
    assert lessons(everywhere, tokenizer, random.Random(1)) == []


def test_the_loss_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4]]))
    assert listwise_loss(logits).item() == pytest.approx(-math.log(0.5) - math.log(0.2))


def test_a_resumed_run_ends_where_an_unbroken_one_does(lists, weights, tiny_base: Path, tmp_path: Path) -> None:
    def run(out: Path, stop_after: int | None = None) -> dict[str, torch.Tensor]:
        def report(row) -> None:
            if row["step"] == stop_after:
                raise KeyboardInterrupt

        folder = train_cross_encoder(lists[:24], tiny_base, weights, out, SETTINGS, CPU, report=report)
        return load_file(folder / "model.safetensors")

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop_after=3)
    assert not (tmp_path / "broken/model").exists()
    again = run(tmp_path / "broken")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_nothing_to_learn_from_is_an_error(weights, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="give more paragraphs"):
        train_cross_encoder([], tiny_base, weights, tmp_path, SETTINGS, CPU)
    with pytest.raises(InvalidInputError, match="above 0"):
        TrainSettings(peak_lr=0)


def test_the_fit_finds_what_tells_right_from_wrong(lists) -> None:
    """A model that knows: its logit of the right passage is higher in nine of ten questions."""
    rng = np.random.default_rng(0)
    read = []
    for number, one in enumerate(lists):
        logits = rng.normal(size=len(one.hits)) + np.array(one.labels) * (8 if number % 10 else -8)
        read.append(ReadQuestion(ranked=one, logits=logits.astype(np.float32)))
    fusion, without = fit_both(read, 8)
    assert fusion.weights[FEATURES.index("model")] > 0 == without.weights[FEATURES.index("model")]
    assert (fusion.weights >= 0).all()
    found = measure(read, fusion, without, 8)
    assert found["n"] == 40 and found["depth"] == 8
    first = [one.labels[0] for one in lists]
    assert found["search"]["recall_at_1"] == round(sum(first) / 40, 4)
    assert found["model_alone"]["recall_at_1"] > 0.6
    assert found["reranked"]["recall_at_1"] >= found["model_alone"]["recall_at_1"]
    with pytest.raises(InvalidInputError, match="no question"):
        fit_both([], 8)


def test_the_package_reads_what_it_was_made_of(package: Path, trained: Path, tiny_base: Path) -> None:
    reranker = load_reranker(lambda: tiny_base, lambda: CPU, package)
    assert (reranker.name, reranker.depth) == ("citebound-reranker", 4)
    parameters = read_parameters(package)
    assert set(parameters.weights) == set(FEATURES)
    assert parameters.measured["held_out_depth_4"]["n"] == 8 and parameters.measured["held_out_headed"]["n"] == 4
    assert parameters.measured["seconds_by_depth"]["4"] > 0
    card = (package / CARD_FILE).read_text()
    assert all(words in card for words in ("`here`", "SQuAD", "Apache-2.0", "recall_at_1"))
    assert not any("word_embeddings" in name for name in load_file(package / WEIGHTS_FILE))
    (one,) = searched(8, 1, 1)
    found = reorder(reranker, one.question, one.hits)
    assert found == reorder(reranker, one.question, one.hits)
    assert sorted(hit.passage.passage_id for hit in found) == sorted(hit.passage.passage_id for hit in one.hits)
    assert all(0 <= (hit.scores.rerank or 0) <= 1 for hit in found)


def test_without_a_cross_encoder_no_weights_are_written_and_no_base_is_needed(
    lists, tiny_base: Path, tmp_path: Path
) -> None:
    held = Held(fit=lists[:20], test=lists[20:30], test_headed=lists[30:])
    made = make_package(None, tiny_base, tmp_path, CPU, depth=4, held=held, about="- here", say=lambda line: None)
    assert made.base_sha256 is None and made.weights["model"] == 0
    assert made.measured["held_out_depth_4"]["model_alone"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [CARD_FILE, "reranker.json"]

    def never() -> Path:
        raise AssertionError

    reranker = load_reranker(never, never, tmp_path)  # type: ignore[arg-type]
    probabilities = reranker.score(lists[0].question, lists[0].hits[:4])
    assert len(probabilities) == 4 and all(0 < one < 1 for one in probabilities)


def test_any_length_and_script_is_scored(package: Path, tiny_base: Path, lists) -> None:
    reranker = load_reranker(lambda: tiny_base, lambda: CPU, package)
    hits = list(lists[0].hits[:2])
    for text in ("", "Cats sleep. " * 5_000, "橋は古いです。" * 300, "a" * 30_000):
        long = dataclasses.replace(hits[0], passage=dataclasses.replace(hits[0].passage, text=text))
        for question in ("When?", "when was it opened " * 1_000):
            assert all(0 <= one <= 1 for one in reranker.score(question, [long, hits[1]]))


def test_another_base_is_refused(package: Path, tiny_base: Path, tmp_path: Path) -> None:
    for path in package.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_parameters(dataclasses.replace(read_parameters(package), base_sha256="0" * 64), tmp_path)
    with pytest.raises(NotReadyError, match="trained from"):
        load_reranker(lambda: tiny_base, lambda: CPU, tmp_path)
