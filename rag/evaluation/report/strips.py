"""Plots of one row each, as wide as their box: bars of outcomes, intervals of differences, steps of a waterfall."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rag.evaluation.report.svg import Scale, percent, strip, tag

BAR = 22  # height of a bar, pixels
ROW = 30  # height of an interval's row, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stretch of a stacked bar."""

    kind: str  # class name: which colour and pattern
    label: str
    n: int


def stacked_bar(parts: Sequence[Part], title: str) -> Markup:
    """Counts as shares of their sum, in order; a stretch wide enough carries its number."""
    total = sum(part.n for part in parts)
    drawn: list[Markup] = []
    at = 0.0
    for part in parts:
        if part.n == 0:
            continue
        width = part.n / total
        drawn.append(
            tag(
                "rect",
                {"class": f"fill {part.kind}", "x": percent(at), "y": 0, "width": percent(width), "height": BAR},
                tag("title", {}, f"{part.label}: {part.n} of {total}"),
            )
        )
        if width >= 0.06:
            drawn.append(
                tag(
                    "text",
                    {
                        "class": f"on {part.kind}",
                        "x": percent(at + width / 2),
                        "y": BAR / 2 + 4.5,
                        "text-anchor": "middle",
                    },
                    str(part.n),
                )
            )
        at += width
    return strip(BAR, title, *drawn)


def interval(scale: Scale, low: float, point: float, high: float, kind: str, title: str) -> Markup:
    """A point with its interval on a shared scale; the line at 0 means no difference."""
    middle = ROW / 2
    left, right = percent(scale.at(low)), percent(scale.at(high))
    zero = percent(scale.at(0.0))
    return strip(
        ROW,
        title,
        tag("line", {"class": "zero", "x1": zero, "x2": zero, "y1": 0, "y2": ROW}),
        tag("line", {"class": f"whisker {kind}", "x1": left, "x2": right, "y1": middle, "y2": middle}),
        *(
            tag("line", {"class": f"whisker {kind}", "x1": end, "x2": end, "y1": middle - 5, "y2": middle + 5})
            for end in (left, right)
        ),
        _point(percent(scale.at(point)), middle, kind),
    )


def _point(x: str, y: float, kind: str) -> Markup:
    """Filled where the direction is clear, hollow where it is not."""
    return tag("circle", {"class": f"dot {kind}", "cx": x, "cy": y, "r": 5.5})


def axis(scale: Scale, values: Sequence[float], labels: Sequence[str]) -> Markup:
    """The axis under rows that share a scale; hidden from readers of the rows' own numbers."""
    drawn: list[Markup] = []
    for value, label in zip(values, labels, strict=True):
        x = percent(scale.at(value))
        drawn.append(tag("line", {"class": "tick", "x1": x, "x2": x, "y1": 0, "y2": 5}))
        drawn.append(tag("text", {"class": "tick", "x": x, "y": 18, "text-anchor": "middle"}, label))
    return tag("svg", {"class": "strip axis", "width": "100%", "height": 22, "aria-hidden": "true"}, *drawn)


def step(start: float, end: float, kind: str, title: str) -> Markup:
    """One step of a waterfall: the stretch between two shares in [0, 1]."""
    low, high = sorted((start, end))
    return strip(
        BAR,
        title,
        tag("line", {"class": "grid", "x1": 0, "x2": "100%", "y1": BAR - 0.5, "y2": BAR - 0.5}),
        *(
            [
                tag(
                    "rect",
                    {
                        "class": f"fill {kind}",
                        "x": percent(low),
                        "y": 2,
                        "width": percent(high - low),
                        "height": BAR - 4,
                    },
                )
            ]
            if high > low
            else []
        ),
    )
