"""The ranges of what flows into a decoder, and the switch that stops it."""

import math

import pytest

from llm.errors import CancelledError
from llm.types import Cancel, SamplingParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", 2**63),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", -0.1),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", math.nan),
        ("min_p", 1.0),
        ("num_beams", 0),
        ("repetition_penalty", 0.0),
        ("seed", 2**63),
        ("stop", ("",)),
        ("stop", ("x",) * 17),
    ],
)
def test_values_outside_their_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        SamplingParams(**{name: value})


def test_defaults_are_greedy() -> None:
    params = SamplingParams()
    assert (params.temperature, params.num_beams, params.repetition_penalty) == (0.0, 1, 1.0)


def test_cancel_is_one_way() -> None:
    cancel = Cancel()
    cancel.raise_if_set()
    cancel.set()
    cancel.set()
    assert cancel.is_set
    with pytest.raises(CancelledError):
        cancel.raise_if_set()
