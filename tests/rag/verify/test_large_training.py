"""The large encoder's training, packaging and reading, end to end with a tiny random encoder."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from api.cli.main import cli
from llm.sources import ModelStore
from llm.types import Device
from rag.errors import InvalidInputError, NotReadyError
from rag.low_rank_changes import read_shipped
from rag.verify.claims import split_claims
from rag.verify.judge import load_judge
from rag.verify.large_passes import SHARES, large_pairs, large_passes
from rag.verify.large_training import train_large, train_large_passes
from rag.verify.package import Held, make_package
from rag.verify.package_large import CARD_FILE, NAME, make_large_package
from rag.verify.shipped import (
    LARGE_WEIGHTS_FILE,
    PARAMETERS_FILE,
    WEIGHTS_FILE,
    WORDS_FILE,
    read_large_parameters,
    read_parameters,
    write_parameters,
)
from rag.verify.train import TrainSettings, train_verifier, training_pairs

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)
PASSES = [
    dataclasses.replace(one, batch_size=4, rank=2, first_layer=1, checkpoint_seconds=0.0) for one in large_passes(5, 30)
]
FEW = Held(n_built=60, n_long=30, n_asked=60, n_two_step=30, n_beside=30)
SMALL = TrainSettings(seed=1, n_built=24, n_labelled_passes=1, n_pairs=16, batch_size=4, log_steps=2, bf16=False)


@pytest.fixture(scope="module")
def learnt(tiny_large_base: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("large")
    heard: list[int] = []

    def report(number: int, row: dict[str, Any]) -> None:
        heard.append(number)
        assert row["loss"] > 0
        assert row["tokens_per_second"] > 0

    found = train_large_passes(tiny_data, tiny_large_base, out, PASSES, CPU, report=report)
    assert set(heard) == {1, 2, 3, 4, 5, 6}
    return found


@pytest.fixture(scope="module")
def package(
    learnt: Path, tiny_base: Path, tiny_large_base: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run, out = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("weights")
    small = train_verifier(training_pairs(tiny_data, SMALL), tiny_base, run, SMALL)
    make_package(small, tiny_base, tiny_data, out, CPU, command="citebound train verifier", held=FEW)
    read: list[tuple[str, int, int]] = []
    make_large_package(
        learnt, (tiny_base, tiny_large_base), tiny_data, out, CPU, command="citebound train verifier --large",
        held=FEW, report=lambda *row: read.append(row),
    )  # fmt: skip
    assert {part for part, _, _ in read} == {"calibration", "test"}
    return out


def test_pairs_come_from_everywhere_and_are_the_same_for_a_seed(tiny_data: Path) -> None:
    first, _, *later = large_passes(5, 300)
    assert {pair.source for pair in large_pairs(tiny_data, later[-1])} >= {
        "squad_rival_stated",
        "made_up_stated",
        "made_up_polar",
    }
    pairs = large_pairs(tiny_data, first)
    assert pairs == large_pairs(tiny_data, first)
    assert pairs != large_pairs(tiny_data, dataclasses.replace(first, seed=6))
    assert {pair.source.split("_")[0] for pair in pairs} == {"fever", "fm2", "squad"}
    assert not any(pair.source == "squad_rival" for pair in pairs)
    for settings in later:
        sources = {pair.source for pair in large_pairs(tiny_data, settings)}
        assert {"squad_rival", "made_up_direct", "made_up_compared"} <= sources


def test_a_pass_goes_on_from_what_the_one_before_learnt(learnt: Path) -> None:
    first, second = (read_shipped(learnt.parent / f"large_{n}" / learnt.name) for n in (1, 2))
    assert first.keys() == second.keys()
    assert all(name.startswith(("mpnet.encoder.layer.1.", "mpnet.encoder.layer.2.", "classifier.")) for name in first)
    near = [float((first[name] - second[name]).norm() / first[name].norm()) for name in first if name.endswith(".a")]
    assert 0 < max(near) < 0.5  # drawn anew they would lie √2 apart


def test_what_is_shipped_is_the_mean_of_the_last_passes(learnt: Path) -> None:
    found = read_shipped(learnt)
    last = range(len(PASSES) - len(SHARES) + 1, len(PASSES) + 1)
    passes = [read_shipped(learnt.parent / f"large_{n}" / learnt.name) for n in last]
    for name, tensor in found.items():
        mean = sum(share * one[name] for share, one in zip(SHARES, passes, strict=True)) / sum(SHARES)
        step = mean.abs().amax(dim=-1, keepdim=True) / 127  # of an int8
        assert bool(((tensor - mean).abs() <= step + 1e-6).all())


class _KilledError(Exception):
    """Ends a run after its second step is in a checkpoint."""


def test_a_stopped_run_ends_where_an_unbroken_one_does(tiny_large_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    pairs = large_pairs(tiny_data, PASSES[0])
    whole = read_shipped(train_large(pairs, tiny_large_base, tmp_path / "whole", PASSES[0], CPU))

    def killed(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            raise _KilledError

    with pytest.raises(_KilledError):
        train_large(pairs, tiny_large_base, tmp_path / "broken", PASSES[0], CPU, report=killed)
    again = read_shipped(train_large(pairs, tiny_large_base, tmp_path / "broken", PASSES[0], CPU))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_no_pairs_and_senseless_settings_are_errors(tiny_large_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no pairs"):
        train_large([], tiny_large_base, tmp_path, PASSES[0], CPU)
    with pytest.raises(InvalidInputError, match="at least"):
        dataclasses.replace(PASSES[0], rank=0)
    with pytest.raises(InvalidInputError, match="no passes"):
        train_large_passes(tmp_path, tiny_large_base, tmp_path, [], CPU)


def test_the_package_is_read_by_the_judge_and_has_a_card(package: Path, tiny_base: Path, tiny_large_base: Path) -> None:
    parameters = read_large_parameters(package)
    assert parameters.measured["verify_train_test"]["n"] > 10
    assert 0 <= parameters.measured["built_test"]["read_again"] <= 1
    assert parameters.measured["beside_test"]["n"] > 0
    assert str(parameters.base_sha256) in (package / CARD_FILE).read_text()
    judge = load_judge(tiny_base, CPU, package, large_base=tiny_large_base)
    try:
        assert judge.info.name == NAME
        assert judge.info.threshold == parameters.info.threshold
        assert judge.with_windows(2).info.name == NAME
        claims = split_claims("The old bridge was opened in 1850. The red tower stands in the town.")
        evidence = ["The old bridge number 50 was opened in 1850. Cats sleep all day."]
        found = judge.judge(claims, evidence)
        assert found == judge.judge(claims, evidence)
        assert all(0 <= one.score <= 1 for one in found)
        assert all((one.label == "supported") == (one.score >= judge.info.threshold) for one in found)
        assert judge.judge(claims, []) == load_judge(tiny_base, CPU, package).judge(claims, [])
    finally:
        judge.model.close()


def test_figures_of_another_verifier_and_missing_weights_are_errors(
    package: Path, tiny_base: Path, tiny_large_base: Path, tmp_path: Path
) -> None:
    for file in package.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / LARGE_WEIGHTS_FILE).unlink()
    with pytest.raises(NotReadyError, match="is missing"):
        load_judge(tiny_base, CPU, tmp_path, large_base=tiny_large_base)
    write_parameters(dataclasses.replace(read_parameters(tmp_path), slope=1.25), tmp_path)
    with pytest.raises(NotReadyError, match="another verifier"):
        load_judge(tiny_base, CPU, tmp_path, large_base=tiny_large_base)
    with pytest.raises(NotReadyError, match="not hold the encoder"):
        load_judge(tiny_large_base, CPU, package, large_base=tiny_large_base)


def test_the_command_trains_fits_and_goes_on_where_it_was_left(
    package: Path,
    tiny_base: Path,
    tiny_large_base: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bases = {"all-MiniLM-L6-v2": tiny_base, "all-mpnet-base-v2": tiny_large_base}
    monkeypatch.setattr(ModelStore, "pull", lambda self, name, progress=None: SimpleNamespace(folder=bases[name]))
    monkeypatch.setattr("rag.verify.package.Held", lambda seed: dataclasses.replace(FEW, seed=seed))
    out = tmp_path / "run"
    (out / "weights").mkdir(parents=True)
    for name in (WEIGHTS_FILE, PARAMETERS_FILE, WORDS_FILE):
        shutil.copyfile(package / name, out / "weights" / name)
    arguments = ["train", "verifier", "--large", "--data", str(tiny_data), "--out", str(out), "--pairs", "12", "--fp32"]
    shown = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["verify_train_test"]["n"] > 10
    for number in (1, 2):
        rows = (out / f"large_{number}/metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["step"] for row in rows] == list(range(1, len(rows) + 1))
        assert (out / f"large_{number}/loss.svg").read_text().startswith("<svg")
    card = (out / "weights" / CARD_FILE).read_text()
    before = (out / "weights" / LARGE_WEIGHTS_FILE).read_bytes()
    assert NAME in card
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0  # nothing is trained again
    assert (out / "weights" / LARGE_WEIGHTS_FILE).read_bytes() == before
