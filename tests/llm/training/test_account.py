"""What a run leaves for people: metrics and a plot."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from llm.training.metrics import MetricsLog, read_metrics
from llm.training.plot import loss_svg, ticks

SVG = "{http://www.w3.org/2000/svg}"


def test_a_step_taken_again_stands_once(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        log.write({"step": step, "loss": 1.0})
    resumed = MetricsLog(tmp_path / "metrics.jsonl")
    resumed.write({"step": 3, "loss": 2.0})
    resumed.write({"step": 4, "loss": 3.0})
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path / "metrics.jsonl")] == [
        (1, 1.0), (2, 1.0), (3, 2.0), (4, 3.0)
    ]  # fmt: skip


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 1.0}) + '\n{"step": 2, "lo')
    MetricsLog(tmp_path / "metrics.jsonl").write({"step": 2, "loss": 0.5})
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0, 100, (0, 20, 40, 60, 80, 100)),
        (1.3, 6.4, (0, 2, 4, 6, 8)),
        (0.61, 0.7, (0.6, 0.62, 0.64, 0.66, 0.68, 0.7)),
        (-2, 2, (-2, -1, 0, 1, 2)),
        (3, 3, (3, 4, 5, 6)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round_and_enclose_the_values(lowest, highest, expected) -> None:
    found = ticks(lowest, highest)
    if lowest != highest:
        assert found == pytest.approx(expected)
    assert found[0] <= lowest
    assert found[-1] >= highest


def test_the_plot_has_every_step_and_every_measurement() -> None:
    rows = [{"step": n, "loss": 5.0 / n} | ({"held_out_loss": 4.0} if n % 10 == 0 else {}) for n in range(1, 31)]
    drawn = ET.fromstring(loss_svg(rows, title="<sft> & more"))
    assert drawn.find(f"{SVG}title").text == "<sft> & more"
    raw, mean = drawn.findall(f"{SVG}polyline")
    assert len(raw.get("points").split()) == len(mean.get("points").split()) == 30
    heights = [float(point.split(",")[1]) for point in raw.get("points").split()]
    assert heights == sorted(heights), "a falling loss goes down the page"
    assert len(drawn.findall(f"{SVG}circle")) == 3


def test_a_plot_of_one_step_or_none_is_still_one() -> None:
    for rows in ([], [{"step": 1, "loss": 2.0}]):
        assert ET.fromstring(loss_svg(rows, title="x")).tag == f"{SVG}svg"
