"""What the training commands share: the device, the processes, and the folder in which a run leaves its account."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.settings import Settings, load_settings
from llm.errors import InvalidTrainingDataError
from llm.training.loop import OFF_THE_CURVE
from llm.training.metrics import MetricsLog
from llm.training.plot import loss_svg
from llm.training.speed import work_of
from llm.training.workers import Workers, join_workers
from llm.types import Device

if TYPE_CHECKING:
    from llm.sources import ModelStore

ENCODER = "all-MiniLM-L6-v2"  # the shipped verifier and reranker are differences to its weights
LARGE_ENCODER = "all-mpnet-base-v2"  # of the large encoder beside the verifier
_NAMES = ("base", "data")  # of files that are told apart by their SHA-256
_BAR_SECONDS = 10.0  # between two states of the progress bar where nobody watches a terminal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a training command stands on."""

    settings: Settings
    device: Device  # float32 where the machine would choose fp16, whose gradients vanish without scaling
    workers: Workers

    @property
    def models(self) -> "ModelStore":
        """Models by name."""
        from llm.sources import ModelStore

        return ModelStore(self.settings.model_cache, offline=self.settings.offline)


def prepare(data_dir: Path | None) -> Ground:
    """Settings, logs, device and processes."""
    from api.logs import configure_logs
    from llm.device import probe_device

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    device = probe_device(settings.device, settings.dtype, settings.threads)
    if device.dtype == "fp16":
        device = dataclasses.replace(device, dtype="fp32")
    return Ground(settings=settings, device=device, workers=join_workers(device))


class TrainingRun:
    """The account of one run in its folder: `run.json`, `metrics.jsonl`, `loss.svg`; a progress bar on stderr.

    Args:
        out: The folder.
        kind: What is done, e.g. "sft".
        about: What the run is made of; a folder that holds a run made of something else is refused.

    Raises:
        InvalidTrainingDataError: `out` holds another run.
    """

    def __init__(self, out: Path, kind: str, about: Mapping[str, Any], *, is_main: bool) -> None:
        self._out, self._kind = out, kind
        self._about = json.loads(json.dumps({"kind": kind, **about}))
        self._is_main = is_main
        self._bar: Any = None
        self._peak = 0.0  # matrix operations a second that the machine reached in a trial
        self._work: Any = None
        out.mkdir(parents=True, exist_ok=True)
        account = out / "run.json"
        found = json.loads(account.read_text("utf-8")) if account.exists() else {}
        has_begun = "result" in found or (out / "checkpoint").exists()
        if has_begun and (other := _first_difference(found, self._about)) is not None:
            raise InvalidTrainingDataError(
                f"{out} holds another run ({other}); name another folder, or remove it to begin again"
            )
        if is_main and not has_begun:
            (out / "metrics.jsonl").unlink(missing_ok=True)
            _write_json(account, self._about)
        self._log = MetricsLog(out / "metrics.jsonl") if is_main else None

    def measure(self, model: Any, device: Device) -> None:
        """Find out how fast the machine multiplies matrices, to hold each step against it."""
        from llm.device import measure_matrix_rate

        self._work = work_of(model)
        self._peak = measure_matrix_rate(device, device.dtype) * 1e12

    def prepared(self, n_done: int, n_all: int) -> None:
        """Hear how much of what stands before the first step is done."""
        if self._bar is None:
            self._bar = bar(total=n_all, initial=n_done - 1, desc=f"{self._kind}: reference", unit="sequence")
        self._bar.update(1)
        if n_done == n_all:
            self._bar.close()
            self._bar = None

    def report(self, row: dict[str, Any]) -> None:
        """Hear of one step."""
        row = row | self._share(row)
        if self._log is not None:
            self._log.write(row)
        if self._bar is None:
            self._bar = bar(total=row["n_steps"], initial=row["step"] - 1, desc=self._kind, unit="step")
        shown = {"loss": f"{row['loss']:.3f}", "tokens/s": f"{row['tokens_per_second']:.0f}"}
        if "matrix_share" in row:
            shown["of matrix rate"] = f"{row['matrix_share']:.0%}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(1)

    def finish(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Draw the loss, write what came out, and return it."""
        if self._bar is not None:
            self._bar.close()
        rows = self._log.rows if self._log is not None else []
        summary = {**(_summary(rows) if rows else {}), **results}
        if rows:
            drawn = loss_svg(rows, title=f"{self._kind}: {self._out.name}")
            (self._out / "loss.svg").write_text(drawn, encoding="utf-8")
        _write_json(self._out / "run.json", {**self._about, "result": summary})
        return summary

    def _share(self, row: Mapping[str, Any]) -> dict[str, float]:
        """The share of the machine's matrix rate that the step reached, by the operations that the model needs."""
        if not self._peak or not row["tokens_per_second"]:
            return {}
        n_sequences = self._about["config"]["sequences_per_step"]
        flops = self._work.flops(
            n_tokens=row["tokens"], n_targets=row.get("targets", row["tokens"]), length=row["tokens"] / n_sequences
        )
        seconds = row["tokens"] / row["tokens_per_second"]
        return {"matrix_share": round(flops / seconds / self._peak, 4)}


def _first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """What a run that has begun was made of instead; None if it can go on."""
    for name, value in wanted.items():
        before = found.get(name)
        if name == "config" and isinstance(before, dict):
            for field, now in value.items():
                if field not in OFF_THE_CURVE and before.get(field) != now:
                    return f"{field} was {before.get(field)}, not {now}"
        elif name not in _NAMES and before != value:
            return f"{name} was {before}, not {value}"
    return None


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A run in a few figures."""
    seconds = sum(row["tokens"] / row["tokens_per_second"] for row in rows if row["tokens_per_second"])
    tokens = sum(row["tokens"] for row in rows)
    shares = [row["matrix_share"] for row in rows if "matrix_share" in row]
    return {
        "steps": rows[-1]["step"],
        "first_loss": rows[0]["loss"],
        "last_loss": rows[-1]["loss"],
        "held_out_loss": next((row["held_out_loss"] for row in rows[::-1] if "held_out_loss" in row), None),
        "tokens": tokens,
        "seconds": round(seconds, 1),  # of the steps, without measuring and writing
        "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
        "matrix_share": round(sum(shares) / len(shares), 4) if shares else None,
    }


def bar(items: Iterable[Any] | None = None, **shape: Any) -> Any:
    """A progress bar on stderr (`tqdm`), seldom redrawn where nobody watches a terminal."""
    from tqdm import tqdm

    return tqdm(items, file=sys.stderr, mininterval=0.2 if sys.stderr.isatty() else _BAR_SECONDS, **shape)


def say(results: Mapping[str, Any]) -> None:
    """Print what came out, as one JSON line."""
    click.echo(json.dumps(dict(results), ensure_ascii=False))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines, whole or not at all; returns how many."""
    n_rows = 0
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            n_rows += 1
    fresh.replace(path)
    return n_rows


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)
