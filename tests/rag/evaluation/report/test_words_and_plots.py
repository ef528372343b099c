"""Wording and geometry, worked by hand."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from rag.evaluation.report import words
from rag.evaluation.report.plots import Axis, Series, scatter
from rag.evaluation.report.strips import Part, stacked_bar
from rag.evaluation.report.svg import Scale, number, tag, ticks

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.125, "12.5\u202f%"), (0.0, "0.0\u202f%"), (1.0, "100.0\u202f%"), (None, "–"), (-0.00001, "0.0\u202f%")],
)
def test_shares(value: float | None, said: str) -> None:
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0004, "p < .001"), (0.041, "p = .041"), (1.0, "p = 1.0"), (0.5, "p = .500"), (None, "–")]
)
def test_p_values(value: float | None, said: str) -> None:
    assert words.p_value(value).replace("\u00a0", " ") == said


def test_differences_carry_their_sign() -> None:
    assert words.points("accuracy", 0.36) == "+36.0\u202fpts"
    assert words.points("accuracy", -0.36) == "−36.0\u202fpts"
    assert words.points("accuracy", -0.0) == "0.0\u202fpts"
    assert words.points("net_score", -0.56) == "−0.56"
    assert words.bounds("net_score", -0.69, -0.45) == "[−0.69, −0.45]"
    assert words.bounds("accuracy", -0.05, 0.125) == "[−5.0, 12.5]"
    assert words.bounds("accuracy", None, 0.125) == ""


def test_small_words() -> None:
    assert words.plural(1, "case") == "1 case" and words.plural(2000, "case") == "2,000 cases"
    assert words.count(31.5) == "31.50" and words.count(31.0) == "31"
    assert words.when("2025-03-01T12:30:59.25Z") == "2025-03-01 12:30 UTC"
    assert words.when("2025-03-01T12:30:00+02:00") == "2025-03-01T12:30:00+02:00"
    assert words.tied("95 % of 3 % x") == "95\u202f% of 3\u202f% x"
    assert words.figure_name("brand_new_figure") == "Brand new figure"


@given(finite, finite.filter(lambda value: value != 0))
def test_ticks_lie_inside_and_rise(low: float, width: float) -> None:
    high = low + abs(width)
    if high - low < 1e-6 * max(abs(low), 1):
        return
    found = ticks(low, high)
    slack = 1e-6 * (high - low) + 1e-9
    assert 2 <= len(found) <= 7
    assert all(low - slack <= value <= high + slack for value in found)
    assert list(found) == sorted(found)


@given(finite)
def test_places_stay_on_the_plot(value: float) -> None:
    place = Scale(low=-1, high=3, start=10, end=90).at(value)
    assert 10 <= place <= 90
    assert Scale(low=-1, high=3, start=90, end=10).at(1) == 50


@given(finite)
def test_coordinates_read_back(value: float) -> None:
    assert math.isclose(float(number(value)), value, abs_tol=0.0051)
    assert number(value) != "-0"


def test_tags_escape_text_and_attributes() -> None:
    made = tag("text", {"class": '"><script>', "x": 1.5, "y": None}, "<b>", Markup("<i/>"))
    assert made == '<text class="&#34;&gt;&lt;script&gt;" x="1.5">&lt;b&gt;<i/></text>'


def test_a_bar_is_as_wide_as_its_share() -> None:
    bar = stacked_bar([Part(kind="good", label="right", n=3), Part(kind="bad", label="wrong", n=1)], "of 4")
    assert 'class="fill good" x="0%" y="0" width="75%"' in bar
    assert 'class="fill bad" x="75%" y="0" width="25%"' in bar
    assert "<title>right: 3 of 4</title>" in bar


def test_labels_do_not_cover_each_other() -> None:
    points = [Series(index=place, name=f"system {place}", points=((0.5, 0.5),)) for place in range(4)]
    axis = Axis(label="share", low=0, high=1)
    drawn = scatter(points, axis, axis, "title", "description", "key")
    heights = sorted(float(part.split('y="')[1].split('"')[0]) for part in drawn.split('class="label')[1:])
    assert all(above - below >= 12 for below, above in itertools.pairwise(heights))
