import shutil
from pathlib import Path

import pytest
import torch

from llm.errors import InvalidTrainingDataError
from llm.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step=step, tensors={"weight": torch.full((3,), float(step))})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    assert read_checkpoint(folder, identity={}) is None
    write_checkpoint(folder, checkpoint(7), identity={"betas": (0.9, 0.95)})
    found = read_checkpoint(folder, identity={"betas": (0.9, 0.95)})
    assert found is not None
    assert found.step == 7
    assert found.tensors["weight"].tolist() == [7.0, 7.0, 7.0]


def test_another_run_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", checkpoint(1), identity={"seed": 1})
    with pytest.raises(InvalidTrainingDataError, match="other settings or data"):
        read_checkpoint(tmp_path / "checkpoint", identity={"seed": 2})


class Killed(BaseException):
    pass


@pytest.mark.parametrize("first_kill", range(8))
@pytest.mark.parametrize("second_kill", range(8))
def test_a_kill_at_any_change_of_the_folders_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_kill: int, second_kill: int
) -> None:
    """Two writes in a row are cut off, each before its n-th change of a folder's name or contents."""
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, checkpoint(1), identity={})
    rename, rmtree = Path.rename, shutil.rmtree
    left = 0

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    def counted_rename(self: Path, target: Path) -> Path:
        count()
        return rename(self, target)

    def counted_rmtree(path: Path, ignore_errors: bool = False) -> None:
        count()
        rmtree(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(Path, "rename", counted_rename)
    monkeypatch.setattr(shutil, "rmtree", counted_rmtree)
    at_least = 1
    for step, kill in ((2, first_kill), (3, second_kill)):
        left = kill
        try:
            write_checkpoint(folder, checkpoint(step), identity={})
            done = True
        except Killed:
            done = False
        found = read_checkpoint(folder, identity={})
        assert found is not None
        assert at_least <= found.step <= step
        assert not done or found.step == step
        assert found.tensors["weight"].tolist() == [float(found.step)] * 3
        at_least = found.step
