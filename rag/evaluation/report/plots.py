"""Plots with two axes as inline SVG: answers against hallucinations, risk against coverage, reliability, cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rag.evaluation.report import words
from rag.evaluation.report.svg import Scale, figure, number, tag, ticks

WIDTH, HEIGHT = 400, 310
LEFT, RIGHT, TOP, BOTTOM = 50, 16, 36, 46
N_SERIES = 6  # systems that have a colour, dash and mark of their own; more repeat them


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One system's line or point. `index` chooses its colour, dash and mark everywhere in the report."""

    index: int
    name: str
    points: tuple[tuple[float, float], ...]  # x, y
    low: float | None = None  # of y, for a single point
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram."""

    predicted: float  # mean score, 0..1
    observed: float  # share supported, 0..1
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis and its words."""

    label: str
    low: float
    high: float
    as_share: bool = True

    def words(self, value: float) -> str:
        """A tick's label."""
        return words.share(value, 0) if self.as_share else words.number(value, 0 if value.is_integer() else 1)


def scatter(points: Sequence[Series], x: Axis, y: Axis, title: str, description: str, key: str) -> Markup:
    """One labelled point a system, with the interval of its y."""
    across, up = _scales(x, y)
    drawn: list[Markup] = []
    for series in points:
        (px, py) = series.points[0]
        at = across.at(px)
        if series.low is not None and series.high is not None:
            ends = {"x1": at, "x2": at, "y1": up.at(series.low), "y2": up.at(series.high)}
            drawn.append(tag("line", {"class": f"whisker {colour(series.index)}", **ends}))
        drawn.append(mark(series.index, at, up.at(py)))
    drawn.extend(_labels([(series, across.at(series.points[0][0]), up.at(series.points[0][1])) for series in points]))
    return figure(WIDTH, HEIGHT, title, description, key, _frame(x, y), *drawn)


def lines(curves: Sequence[Series], x: Axis, y: Axis, title: str, description: str, key: str, *extra: Markup) -> Markup:
    """One line a system, told apart by colour, dash and the mark at its end."""
    across, up = _scales(x, y)
    drawn: list[Markup] = []
    ends: list[tuple[Series, float, float]] = []
    for series in curves:
        places = [(across.at(px), up.at(py)) for px, py in series.points]
        path = " ".join(f"{number(px)},{number(py)}" for px, py in places)
        drawn.append(tag("polyline", {"class": f"curve {colour(series.index)}", "points": path}))
        drawn.append(mark(series.index, *places[-1]))
        ends.append((series, *places[-1]))
    return figure(WIDTH, HEIGHT, title, description, key, _frame(x, y), *drawn, *_labels(ends, lift=10), *extra)


def reliability(bins: Sequence[Bin], title: str, description: str, key: str) -> Markup:
    """Observed share over predicted probability; a judge that knows what it knows lies on the diagonal."""
    x = Axis(label="score the judge gave", low=0, high=1)
    y = Axis(label="share that people call supported", low=0, high=1)
    across, up = _scales(x, y)
    most = max((item.n for item in bins), default=1)
    corner = {"x1": across.at(0), "y1": up.at(0), "x2": across.at(1), "y2": up.at(1)}
    drawn = [tag("line", {"class": "ideal", **corner})]
    drawn.append(
        tag("text", {"class": "note", "x": across.at(0.03), "y": up.at(0.93)}, "area of a dot: number of claims")
    )
    places = [(across.at(item.predicted), up.at(item.observed)) for item in bins]
    path = " ".join(f"{number(px)},{number(py)}" for px, py in places)
    drawn.append(tag("polyline", {"class": "curve s0", "points": path}))
    for item, (px, py) in zip(bins, places, strict=True):
        hint = f"score {item.predicted:.2f}, supported {item.observed:.2f}, {item.n} claims"
        radius = 2.5 + 5 * (item.n / most) ** 0.5
        drawn.append(tag("circle", {"class": "dot s0", "cx": px, "cy": py, "r": radius}, tag("title", {}, hint)))
    return figure(WIDTH, HEIGHT, title, description, key, _frame(x, y), *drawn)


def colour(index: int) -> str:
    """The class of a system's colour and dash."""
    return f"s{index % N_SERIES}"


def mark(index: int, x: float, y: float) -> Markup:
    """A system's mark: circle, square, triangle, diamond, cross or lying triangle."""
    kind = f"dot {colour(index)}"
    shapes = (
        None,
        ((-5, -5), (5, -5), (5, 5), (-5, 5)),
        ((0, -6.5), (6, 5), (-6, 5)),
        ((0, -7), (7, 0), (0, 7), (-7, 0)),
        ((-6, -2), (-2, -2), (-2, -6), (2, -6), (2, -2), (6, -2), (6, 2), (2, 2), (2, 6), (-2, 6), (-2, 2), (-6, 2)),
        ((0, 6.5), (6, -5), (-6, -5)),
    )
    shape = shapes[index % N_SERIES]
    if shape is None:
        return tag("circle", {"class": kind, "cx": x, "cy": y, "r": 5.5})
    return tag("polygon", {"class": kind, "points": " ".join(f"{number(x + dx)},{number(y + dy)}" for dx, dy in shape)})


def swatch(index: int) -> Markup:
    """A system's mark and dash for a legend."""
    return tag(
        "svg",
        {"class": "swatch", "viewBox": "0 0 30 16", "width": 30, "height": 16, "aria-hidden": "true"},
        tag("line", {"class": f"curve {colour(index)}", "x1": 1, "x2": 29, "y1": 8, "y2": 8}),
        mark(index, 15, 8),
    )


def _scales(x: Axis, y: Axis) -> tuple[Scale, Scale]:
    across = Scale(low=x.low, high=x.high, start=LEFT, end=WIDTH - RIGHT)
    return across, Scale(low=y.low, high=y.high, start=HEIGHT - BOTTOM, end=TOP)


def _frame(x: Axis, y: Axis) -> Markup:
    """Grid, tick labels and axis titles."""
    across, up = _scales(x, y)
    drawn: list[Markup] = []
    for value in ticks(y.low, y.high):
        ends = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": up.at(value), "y2": up.at(value)}
        drawn.append(tag("line", {"class": "zero" if value == 0 else "grid", **ends}))
        place = {"x": LEFT - 7, "y": up.at(value) + 4, "text-anchor": "end"}
        drawn.append(tag("text", {"class": "tick", **place}, y.words(value)))
    for value in ticks(x.low, x.high):
        ends = {"x1": across.at(value), "x2": across.at(value), "y1": HEIGHT - BOTTOM, "y2": HEIGHT - BOTTOM + 4}
        drawn.append(tag("line", {"class": "tick", **ends}))
        place = {"x": across.at(value), "y": HEIGHT - BOTTOM + 17, "text-anchor": "middle"}
        drawn.append(tag("text", {"class": "tick", **place}, x.words(value)))
    middle = {"x": (LEFT + WIDTH - RIGHT) / 2, "y": HEIGHT - 8, "text-anchor": "middle"}
    drawn.append(tag("text", {"class": "axis-title", **middle}, x.label))
    drawn.append(tag("text", {"class": "axis-title", "x": 2, "y": 14}, y.label))
    return tag("g", {"aria-hidden": "true"}, *drawn)


def _labels(places: Sequence[tuple[Series, float, float]], lift: float = 0) -> list[Markup]:
    """Names beside their marks, moved down where two would cover each other.

    Where there is no room to the right they stand on the left, `lift` higher, since a line comes from there.
    """
    taken: list[tuple[float, float, float]] = []  # left, right, y
    drawn: list[Markup] = []
    for series, px, py in sorted(places, key=lambda place: (place[2], place[1], place[0].index)):
        name = series.name if len(series.name) <= 22 else series.name[:21] + "…"
        width = 7.0 * len(name)
        right = px + 11 + width > WIDTH - 2
        left = px - 11 - width if right else px + 11
        y = py + 4 - (lift if right else 0)
        while any(abs(y - other) < 13 and left < end and start < left + width for start, end, other in taken):
            y += 3
        y = min(max(y, TOP), HEIGHT - BOTTOM - 3)
        taken.append((left, left + width, y))
        anchor = {"text-anchor": "end", "x": px - 11} if right else {"x": px + 11}
        drawn.append(tag("text", {"class": f"label {colour(series.index)}", **anchor, "y": y}, name))
    return drawn


def cursor(x: Axis, values: Sequence[float], start: int) -> tuple[Markup, tuple[float, ...]]:
    """A line that a slider moves along the x axis, and its place at each value; at first at `values[start]`."""
    across = Scale(low=x.low, high=x.high, start=LEFT, end=WIDTH - RIGHT)
    places = tuple(round(across.at(value), 2) for value in values)
    ends = {"x1": places[start], "x2": places[start], "y1": TOP, "y2": HEIGHT - BOTTOM}
    return tag("line", {"class": "cursor", **ends}), places
