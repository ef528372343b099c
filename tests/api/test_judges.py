"""Which judge a setting means."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.judges import LARGE_TRAINED_FROM, TRAINED_FROM, judge_choice, load_judge
from api.settings import Settings
from llm.types import Device

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)


class Models:
    """Knows where encoders lie, and which of them were pulled; keeps what it was asked for."""

    def __init__(self, *pulled: str) -> None:
        self.pulled = pulled
        self.asked: list[str] = []

    def resolve(self, name: str) -> Any:
        self.asked.append(name)
        return SimpleNamespace(folder=Path(name))

    def info(self, name: str) -> Any:
        return SimpleNamespace(installed=name in self.pulled)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path | None]]:
    """The bases of the judges that were loaded: of the verifier, and of the large encoder."""
    bases: list[tuple[Path, Path | None]] = []

    def load(base: Path, device: Device, *, large_base: Path | None) -> Any:
        bases.append((base, large_base))
        return SimpleNamespace(info=None)

    monkeypatch.setattr("rag.verify.judge.load_judge", load)
    return bases


@pytest.mark.parametrize(
    ("setting", "pulled", "is_large"),
    [
        ("auto", True, True),
        ("auto", False, False),  # nothing is downloaded that nobody asked for
        ("large", False, True),
        ("shipped", True, False),
    ],
)
def test_the_large_encoder_is_taken_where_it_is_wanted_or_there(
    loaded: list[tuple[Path, Path | None]], setting: Any, pulled: bool, is_large: bool
) -> None:
    models: Any = Models(*([LARGE_TRAINED_FROM] if pulled else []))
    load_judge(Settings(verifier=setting), models, lambda: CPU)
    assert loaded == [(Path(TRAINED_FROM), Path(LARGE_TRAINED_FROM) if is_large else None)]
    assert (LARGE_TRAINED_FROM in models.asked) == is_large
    assert judge_choice(Settings(verifier=setting), models) == ("large" if is_large else "shipped")


def test_shared_words_need_no_encoder(loaded: list[tuple[Path, Path | None]]) -> None:
    models: Any = Models()
    assert load_judge(Settings(verifier="overlap"), models, lambda: CPU).info.name == "overlap"
    assert loaded == models.asked == []
