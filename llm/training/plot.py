"""A figure over the course of a training as a small SVG, without a plotting library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 36, 44
_N_TICKS = 5
_SMOOTHED = 0.05  # of the steps, the window of the running mean
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}.raw{stroke:#9bb8d9;fill:none}"
    ".mean{stroke:#1f5fa8;fill:none;stroke-width:2}.held{fill:#c2410c}"
    "@media(prefers-color-scheme:dark){svg{background:#1a1a1a}text{fill:#ddd}.grid{stroke:#444}}"
)


def loss_svg(rows: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """Training loss, its running mean, and held-out loss where it was measured, as one SVG document.

    Args:
        rows: As in the metrics file, `step` and `loss` in each.
        title: What the run was.
    """
    points = [(float(row["step"]), float(row["loss"])) for row in rows]
    held_out = [(float(row["step"]), float(row["held_out_loss"])) for row in rows if "held_out_loss" in row]
    lines = {"raw": points, "mean": _running_mean(points)}
    return _drawn(lines, held_out, title=title, axes="step; loss in nats", mark="held out")


def compression_svg(rows: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """How many bytes a token stands for, by the size of the vocabulary, as one SVG document.

    Args:
        rows: `vocabulary` and `bytes_per_token` in each.
        title: What the tokenizer is.
    """
    points = [(float(row["vocabulary"]), float(row["bytes_per_token"])) for row in rows]
    return _drawn(
        {"mean": points}, points, title=title, axes="tokens in the vocabulary; bytes a token", mark="bytes a token"
    )


def _drawn(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    marked: Sequence[tuple[float, float]],
    *,
    title: str,
    axes: str,
    mark: str,
) -> str:
    """Lines by the class that styles them, and points with a mark."""
    points = [point for line in lines.values() for point in line]
    values = [value for _, value in [*points, *marked]]
    x_ticks = ticks(0.0, max((step for step, _ in points), default=1.0))
    y_ticks = ticks(min(values, default=0.0), max(values, default=1.0))

    def at(point: tuple[float, float]) -> str:
        x = _LEFT + (point[0] - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="20">{escape(title)}</text>',
    ]
    for tick in y_ticks:
        x, y = at((x_ticks[0], tick)).split(",")
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end" dy="4">{tick:g}</text>')
    for tick in x_ticks:
        x, y = at((tick, y_ticks[0])).split(",")
        side = "end" if tick == x_ticks[-1] else "middle"  # in the middle the last one would stick out
        parts.append(f'<text x="{x}" y="{float(y) + 18:.1f}" text-anchor="{side}">{tick:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{axes}</text>')
    for name, line in lines.items():
        parts.append(f'<polyline class="{name}" points="{" ".join(at(point) for point in line)}"/>')
    for point in marked:
        x, y = at(point).split(",")
        parts.append(f'<circle class="held" cx="{x}" cy="{y}" r="4"><title>{mark}: {point[1]:g}</title></circle>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(lowest: float, highest: float) -> tuple[float, ...]:
    """Round numbers 1, 2 or 5 times a power of ten apart, from at most `lowest` to at least `highest`."""
    span = (highest - lowest) or abs(highest) or 1.0
    rough = span / _N_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return tuple(round(number * step, 12) for number in range(first, max(last, first + 1) + 1))


def _running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean of the last 5 % of the steps at each."""
    window = max(1, round(len(points) * _SMOOTHED))
    means: list[tuple[float, float]] = []
    total = 0.0
    for number, (step, value) in enumerate(points):
        total += value - (points[number - window][1] if number >= window else 0.0)
        means.append((step, total / min(number + 1, window)))
    return means
