import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.errors import InvalidTrainingDataError
from llm.training.corpus import Piece
from llm.training.order import SequenceOrder, shuffled_batches
from llm.training.pretrain import PretrainConfig, new_model, next_token_loss, pretrain_decoder, sequences
from llm.training.speed import work_of
from llm.training.token_file import TokenFile, write_tokens

CONFIG = PretrainConfig(
    hidden_size=32, n_layers=2, n_heads=4, n_kv_heads=2, sequence_tokens=16, max_positions=64, sequences_per_step=4,
    sequences_per_pass=4, n_epochs=1, peak_lr=2e-2, warmup_steps=2, checkpoint_seconds=0.0, evaluate_every=4,
)  # fmt: skip


class Letters:
    """Encodes a text as the numbers of its letters."""

    def encode_text(self, text: str) -> list[int]:
        return [3 + ord(letter) - ord("a") for letter in text]


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    pieces = (Piece(text="abcdefghij" if n % 2 else "klmnopqrst", ends_document=True) for n in range(100))
    return write_tokens(pieces, Letters(), end_id=0, vocabulary=30, source="s", folder=tmp_path / "tokens")


def model(config: PretrainConfig = CONFIG):
    return new_model(config, vocabulary=30, end_of_turn=1)


def train(tokens: TokenFile, out: Path, device, config: PretrainConfig = CONFIG) -> list[dict]:
    rows: list[dict] = []
    pretrain_decoder(model(config), tokens, out=out, config=config, device=device, report=rows.append)
    return rows


def test_a_killed_run_goes_on_to_the_same_curve(tokens, tmp_path, device, killed_and_resumed) -> None:
    made = {}

    def run(out, report):
        made[out] = model()
        pretrain_decoder(made[out], tokens, out=out, config=CONFIG, device=device, report=report)

    whole, resumed = killed_and_resumed(run, tmp_path, 11)
    assert whole.curve == resumed.curve  # bitwise, on one machine with one number of threads
    assert whole.rows[0]["loss"] == pytest.approx(math.log(30), rel=0.05), "at first every token is as likely"
    assert whole.rows[-1]["loss"] < whole.rows[0]["loss"] / 2
    assert whole.rows[-1]["held_out_loss"] < whole.rows[0]["loss"] / 2
    weights = [dict(made[tmp_path / name].named_parameters()) for name in ("whole", "killed")]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_the_loss_is_the_mean_over_next_tokens(tokens, device) -> None:
    untrained = model().eval()
    batch = sequences(tokens.train(), [0, 3], 16)
    assert batch.shape == (2, 17)
    assert batch[1].tolist() == tokens.train()[48:65].tolist()
    with torch.no_grad():
        found = float(next_token_loss(untrained, batch, device)) / 32
        expected = float(untrained(input_ids=batch, labels=batch).loss)  # transformers shifts by itself
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("change", [{"sequences_per_pass": 1}, {"activation_checkpointing": True}])
def test_what_only_saves_memory_leaves_the_curve_as_it_is(tokens, tmp_path, device, change) -> None:
    config = dataclasses.replace(CONFIG, max_steps=5)
    one = train(tokens, tmp_path / "one", device, config)
    other = train(tokens, tmp_path / "other", device, dataclasses.replace(config, **change))
    assert [row["loss"] for row in one] == pytest.approx([row["loss"] for row in other], abs=2e-5)


def test_output_and_embedding_are_one_table_and_the_seed_decides_it() -> None:
    one, same, other = model(), model(), model(dataclasses.replace(CONFIG, seed=1))
    assert one.get_output_embeddings().weight is one.get_input_embeddings().weight
    assert one.get_input_embeddings().weight.equal(same.get_input_embeddings().weight)
    assert not one.get_input_embeddings().weight.equal(other.get_input_embeddings().weight)


def test_the_token_between_documents_is_learned_as_any_other(tokens, tmp_path, device) -> None:
    made = model()
    before = made.get_input_embeddings().weight[0].detach().clone()
    assert made.get_input_embeddings().padding_idx is None
    config = dataclasses.replace(CONFIG, max_steps=1, weight_decay=0.0)
    pretrain_decoder(made, tokens, out=tmp_path / "out", config=config, device=device, report=lambda row: None)
    assert not made.get_input_embeddings().weight[0].equal(before)


def test_every_epoch_sees_every_sequence_once() -> None:
    order = SequenceOrder(n_sequences=10, seed=4)
    epochs = [[order.at(place) for place in range(start, start + 10)] for start in (0, 10)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert order.at(3) == epochs[0][3]
    batches = shuffled_batches(10, n_epochs=2, batch_size=4, seed=4)
    flat = [number for batch in batches for number in batch]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]


def test_work_is_counted_by_hand() -> None:
    work = work_of(model())
    # A layer: queries and output 32×32, keys and values 32×16, three matrices of the MLP 32×128.
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 128
    assert (work.body_weights, work.head_weights, work.is_frozen) == (2 * layer, 30 * 32, False)
    forward = 2 * (2 * layer + 30 * 32) * 16 + 4 * 2 * 32 * 16 * 16
    assert work.flops(n_tokens=16, n_targets=16, length=16) == 3 * forward


def test_too_little_text_is_said(tokens, tmp_path, device) -> None:
    config = dataclasses.replace(CONFIG, sequences_per_step=500)
    with pytest.raises(InvalidTrainingDataError, match="one step needs 500 sequences"):
        train(tokens, tmp_path / "out", device, config)


def test_an_impossible_shape_is_said() -> None:
    with pytest.raises(InvalidTrainingDataError, match="multiple"):
        model(dataclasses.replace(CONFIG, n_heads=5))


def test_tokens_are_mapped_and_not_read(tokens) -> None:
    assert isinstance(tokens.train(), np.memmap)
