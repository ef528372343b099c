"""The citation rule: by hand, on random walks, and inside the torch engine."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.citation_rule import CitationRule, RuleState, advance
from llm.engines.torch import TorchDecoder
from llm.errors import UnsupportedError
from llm.types import Generation, Message, Request, SamplingParams

PIECES = ["a", " b", "é", "1", "2", "12", "0", "[", " [", "[1", "[2]", "]", "] c", "]d", "][", "]. ", "【", ".", ""]
MARKER = re.compile(r"\[([1-9][0-9]*)\]")


def obeys(text: str, n_markers: int) -> bool:
    """Whether every bracket is one of the markers and none splits a word."""
    numbers = [int(number) for number in MARKER.findall(text)]
    outside = MARKER.sub("\ue000", text)
    return (
        all(1 <= number <= n_markers for number in numbers)
        and "[" not in outside
        and "【" not in outside
        and not re.search(r"[^\W_]\ue000+[^\W_]", outside)
    )


@pytest.mark.parametrize(
    ("text", "n_markers", "allowed"),
    [
        ("Paris [1].", 1, True),
        ("Paris[1]. Rome [2][1]", 2, True),
        ("Paris [12].", 12, True),
        ("Paris [1", 1, True),  # not closed yet
        ("Paris [2].", 1, False),
        ("Paris [13].", 12, False),
        ("Paris [0].", 3, False),
        ("Paris [01].", 3, False),
        ("Paris [].", 3, False),
        ("Paris [1, 2].", 3, False),
        ("Paris [sic].", 3, False),
        ("Par[1]is", 3, False),
        ("Par[1][2]is", 3, False),
        (" [1]is", 3, True),  # no word before it
        ("Paris [1] ] is", 3, True),  # closing what is not open marks nothing
        ("Paris [1]", 0, False),
        ("【1】", 3, False),
        ("٣ [٣]", 3, False),
    ],
)
def test_by_hand(text: str, n_markers: int, allowed: bool) -> None:
    assert (advance(RuleState(), text, n_markers) is not None) is allowed
    state: RuleState | None = RuleState()
    for c in text:
        state = None if state is None else advance(state, c, n_markers)
    assert (state is not None) is allowed  # however it is cut


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32), n_markers=st.integers(0, 13))
def test_whatever_is_chosen_of_what_is_allowed_obeys(seed: int, n_markers: int) -> None:
    rule, draw = CitationRule([*PIECES, "</s>"], [len(PIECES)]), random.Random(seed)
    text, state = "", RuleState()
    for _ in range(40):
        forbidden = set(rule.forbidden(state, n_markers))
        allowed = [i for i in range(rule.n_tokens) if i not in forbidden]
        assert allowed
        chosen = draw.choice(allowed)
        if chosen == len(PIECES):
            break
        for i in forbidden - {len(PIECES)}:
            assert not rule.text(i) or advance(state, rule.text(i), n_markers) is None
        text += rule.text(chosen)
        after = advance(state, rule.text(chosen), n_markers)
        assert after is not None
        state = after
    else:
        text = text if state.number is None else text[: text.rindex("[")]
    assert obeys(text, n_markers)


def test_a_vocabulary_that_cannot_go_on_is_left_alone() -> None:
    rule = CitationRule(["a", "[", "</s>"], [2])
    assert list(rule.forbidden(RuleState(number=""), 1)) == []


def ask(**changes: object) -> Request:
    values = {"max_new_tokens": 60, "temperature": 10.0, **changes}
    n_markers = values.pop("n_markers", 3)
    return Request(
        messages=(Message(role="user", content="Where does the river reach the sea?"),),
        sampling=SamplingParams(**values),  # type: ignore[arg-type]
        n_markers=n_markers,  # type: ignore[arg-type]
    )


def closed(done: Generation) -> str:
    """The text without a bracket that the length cut open."""
    return re.sub(r"\[[0-9]*\Z", "", done.text)


@pytest.mark.parametrize("which", ["llama", "t5"])
def test_the_torch_engine_obeys(which: str, request: pytest.FixtureRequest) -> None:
    decoder: TorchDecoder = request.getfixturevalue(which)
    for n_markers in (0, 3, 12):
        done = decoder.generate([ask(seed=seed, n_markers=n_markers) for seed in range(40)])
        assert any(generation.text for generation in done)
        assert all(obeys(closed(generation), n_markers) for generation in done)
        if which == "llama":  # the other one says little
            assert any(MARKER.search(generation.text) for generation in done) is (n_markers > 0)
            free = decoder.generate([ask(seed=seed, n_markers=None) for seed in range(40)])
            assert not all(obeys(generation.text, n_markers) for generation in free)
    (streamed,) = [event for event in decoder.stream(ask(seed=7)) if isinstance(event, Generation)]
    assert streamed.text == decoder.generate([ask(seed=7)])[0].text


def test_probabilities_stay_those_of_the_model(llama: TorchDecoder) -> None:
    request = ask(seed=3)
    (done,) = llama.generate([request])
    behind = llama.distribution(request.messages, [token.token_id for token in done.tokens])
    assert [token.probability for token in done.tokens] == pytest.approx([d.probability for d in behind], abs=1e-5)


def test_where_no_bracket_is_near_the_rule_changes_nothing(llama: TorchDecoder) -> None:
    greedy = {"temperature": 0.0, "max_new_tokens": 16}
    (free,), (ruled,) = llama.generate([ask(**greedy, n_markers=None)]), llama.generate([ask(**greedy)])
    assert "[" not in free.text
    assert ruled.text == free.text


def test_beam_search_says_that_it_does_not_obey(llama: TorchDecoder) -> None:
    with pytest.raises(UnsupportedError, match="num_beams"):
        llama.generate([ask(temperature=0.0, num_beams=2)])
