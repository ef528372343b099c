import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.dpo import DpoConfig, answer_log_probabilities, pair_losses, train_dpo
from llm.training.packing import TokenExample
from llm.training.pairs import TokenPair, pack_pairs, read_pairs

# peft calls transformers by a name that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

CONFIG = DpoConfig(
    rank=4, alpha=8.0, peak_lr=1e-2, warmup_steps=2, sequences_per_step=2, max_tokens=60, n_epochs=4,
    checkpoint_seconds=0.0, evaluate_every=2,
)  # fmt: skip


def pair(n: int) -> TokenPair:
    prompt = (*range(10 + n // 2, 24 + n // 2), 40 + n)
    return TokenPair(
        chosen=TokenExample(prompt=prompt, answer=(50, 51 + n % 2, 2)),
        rejected=TokenExample(prompt=prompt, answer=(56, 2)),
    )


PAIRS = [pair(n) for n in range(8)]


def log_probability(model, example: TokenExample) -> float:
    """By a plain pass over the unpacked example."""
    tokens = torch.tensor([[*example.prompt, *example.answer]])
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0].log_softmax(dim=-1)
    places = range(len(example.prompt) - 1, tokens.shape[1] - 1)
    return sum(float(logits[place, tokens[0, place + 1]]) for place in places)


def test_packed_pairs_have_the_log_probabilities_of_their_answers_alone(new_model, device) -> None:
    model = new_model().eval()
    sequences = list(pack_pairs(PAIRS, max_tokens=60))
    assert sum(sequence.n_pairs for sequence in sequences) == 8
    assert len(sequences) < 8, "neighbours that begin alike share a sequence"
    with torch.no_grad():
        found = torch.cat([answer_log_probabilities(model, sequence, device) for sequence in sequences]).tolist()
    expected = [log_probability(model, example) for one in PAIRS for example in (one.chosen, one.rejected)]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_loss_by_hand(new_model, device) -> None:
    model = new_model().eval()
    (sequence,) = pack_pairs(PAIRS[:1], max_tokens=60)
    chosen, rejected = (log_probability(model, example) for example in (PAIRS[0].chosen, PAIRS[0].rejected))
    reference = torch.tensor([chosen - 2.0, rejected + 1.0])  # log-ratios 2 and −1
    config = dataclasses.replace(CONFIG, beta=0.5, sft_weight=0.2)
    outcome = pair_losses(model, sequence, reference, config=config, device=device)
    assert outcome.margins.item() == pytest.approx(1.5, abs=1e-4)
    assert outcome.losses.item() == pytest.approx(math.log(1 + math.exp(-1.5)) - 0.2 * chosen / 3, rel=1e-4)


@pytest.mark.parametrize("rank", [4, 0])
def test_a_killed_run_goes_on_to_the_same_curve(rank, tmp_path, new_model, device, killed_and_resumed) -> None:
    config = dataclasses.replace(CONFIG, rank=rank)

    def train(out, report):
        train_dpo(new_model(), PAIRS, PAIRS[:2], out=out, config=config, device=device, report=report)

    whole, resumed = killed_and_resumed(train, tmp_path, 3)
    assert whole.curve == resumed.curve  # bitwise, on one machine with one number of threads
    assert whole.rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-5), "the model begins as its own reference"
    assert whole.rows[-1]["loss"] < whole.rows[0]["loss"] / 2
    assert whole.rows[-1]["accuracy"] == whole.rows[-1]["held_out_accuracy"] == 1.0


def test_the_reference_is_told_of_and_goes_on_where_it_was_killed(tmp_path, new_model, device) -> None:
    class Killed(Exception):
        pass

    def train(out, progress):
        train_dpo(new_model(), PAIRS, (), out=out, config=CONFIG, device=device, report=told.append, progress=progress)

    def kill(n_done: int, n_all: int) -> None:
        if n_done == n_all - 1:
            raise Killed

    told: list[dict[str, float]] = []
    heard: list[tuple[int, int]] = []
    train(tmp_path / "whole", lambda *step: heard.append(step))
    n_all = heard[-1][1]
    assert n_all > 2
    assert heard == [(n, n_all) for n in range(1, n_all + 1)]
    whole, told = told, []
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill)
    heard.clear()
    train(tmp_path / "killed", lambda *step: heard.append(step))
    assert heard == [(n_all - 1, n_all), (n_all, n_all)]
    assert [row["loss"] for row in told] == [row["loss"] for row in whole]


def test_settings_off_the_curve_may_change(tmp_path, new_model, device) -> None:
    for config in (CONFIG, dataclasses.replace(CONFIG, checkpoint_seconds=9.0, evaluate_every=3)):
        train_dpo(new_model(), PAIRS, (), out=tmp_path, config=config, device=device, report=lambda row: None)
    with pytest.raises(InvalidTrainingDataError, match="other settings"):
        other = dataclasses.replace(CONFIG, peak_lr=1.0)
        train_dpo(new_model(), PAIRS, (), out=tmp_path, config=other, device=device, report=lambda row: None)


def test_other_weights_make_another_reference(tmp_path, new_model, device) -> None:
    def train(seed: int) -> None:
        train_dpo(new_model(seed=seed), PAIRS, (), out=tmp_path, config=CONFIG, device=device, report=lambda row: None)

    train(1)
    with pytest.raises(InvalidTrainingDataError, match="other settings or data"):
        train(2)


def test_a_pair_that_does_not_fit_is_left_out_whole() -> None:
    long = TokenPair(
        chosen=TokenExample(prompt=tuple(range(30)), answer=(1,) * 20),
        rejected=TokenExample(prompt=tuple(range(30)), answer=(2,) * 20),
    )
    assert not list(pack_pairs([long], max_tokens=60))  # 29 + 2 × 21 tokens
    found = list(pack_pairs([PAIRS[0], long, PAIRS[1]], max_tokens=60))
    assert [sequence.lengths for sequence in found] == [(3, 2, 3, 2)]
    (whole,) = pack_pairs([long], max_tokens=71)
    assert whole.lengths == (20, 20)


def test_nothing_to_learn_is_said(tmp_path, new_model, device) -> None:
    config = dataclasses.replace(CONFIG, max_tokens=5)
    with pytest.raises(InvalidTrainingDataError, match="no pair"):
        train_dpo(new_model(), PAIRS, (), out=tmp_path, config=config, device=device, report=lambda row: None)


QUESTION = {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [QUESTION], "chosen": "a"},
        {"messages": [QUESTION], "chosen": "a", "rejected": None},
        {"messages": [QUESTION], "chosen": "a", "rejected": "a"},
        {"messages": [QUESTION, {"role": "assistant", "content": "a"}], "chosen": "a", "rejected": "b"},
        {"messages": [], "chosen": "a", "rejected": "b"},
        [],
    ],
)
def test_a_bad_line_is_named(row, tmp_path: Path, tokenizer) -> None:
    good = {"messages": [QUESTION], "chosen": "a", "rejected": "b"}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(row)}\n")
    with pytest.raises(InvalidTrainingDataError, match=r"rows\.jsonl line 2") as raised:
        list(read_pairs(tmp_path / "rows.jsonl", PromptEncoder(tokenizer), 0))
    assert "\n" not in str(raised.value)
