"""The citation rule: by hand, on random walks, and inside the torch engine."""

import dataclasses
import random
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.citation_rule import CitationRule, RuleState, advance
from llm.engines.paged_decoder import PagedDecoder
from llm.engines.paged_model import Logits, Part
from llm.engines.torch import TorchDecoder
from llm.errors import UnsupportedError
from llm.types import Generation, Message, Request, SamplingParams
from rag.markers import find_markers

PIECES = [
    "passage",
    "a",
    " b",
    "é",
    "1",
    "2",
    "12",
    "0",
    "[",
    " [",
    "[1",
    "[2]",
    "]",
    "] c",
    "]d",
    "][",
    "]. ",
    "【",
    ".",
    "",
]
MARKER = re.compile(r"\[([1-9][0-9]*)\]")
INTRODUCED = re.compile(r"[\[【［〔⟦]\s{0,3}(?:[^\W\d_]{1,12}\s{0,3}[:#]?\s{0,3})?\^?\d")


def obeys(text: str, n_markers: int) -> bool:
    """Whether every number that a bracket introduces is one of the markers, and none splits a word."""
    numbers = [int(number) for number in MARKER.findall(text)]
    outside = MARKER.sub("\ue000", text)
    return (
        all(1 <= number <= n_markers for number in numbers)
        and not INTRODUCED.search(outside)
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
        ("Paris [].", 3, True),
        ("Paris [1, 2].", 3, False),
        ("Paris [sic].", 3, True),
        ("dict[str, int] of 12", 3, True),
        ("x[i][j] and [see figure 2]", 3, True),
        ("a[0]", 3, False),
        ("[passage 2]", 3, False),
        ("[ 2]", 3, False),
        ("[^2]", 3, False),
        ("【重要】12", 3, True),
        ("[[7]]", 3, False),
        ("[[3]]", 3, True),
        ("list[int][1]s", 3, True),  # the marker follows a bracket, no word
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
        text = text if not state.in_number else text[: text.rindex("[")]
    assert obeys(text, n_markers)


def test_a_vocabulary_that_cannot_go_on_is_left_alone() -> None:
    rule = CitationRule(["a", "[", "</s>"], [2])
    assert list(rule.forbidden(RuleState(bracket="[1"), 1)) == []


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("[]【】^#: 0123ab-"), max_size=12), n_markers=st.integers(0, 3))
def test_what_readers_take_for_a_marker_is_one_of_those_that_exist(text: str, n_markers: int) -> None:
    if advance(RuleState(), text, n_markers) is not None:
        numbers = [number for marker in find_markers(text) for number in marker.numbers]
        assert all(1 <= number <= n_markers for number in numbers)


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


class Stubborn:
    """A model that most of all wants to write one text, whatever stands there; see `PagedModel`."""

    block_tokens, n_blocks = 32, 64

    def __init__(self, text_ids: list[int], n_prompt: int, n_tokens: int) -> None:
        self._text_ids, self._n_prompt, self._n_tokens = text_ids, n_prompt, n_tokens

    def read(self, parts: Sequence[Part], wanted: Sequence[int]) -> Logits:
        """One logit stands out at each place; the others fall with the id."""
        places = [before + i for ids, before, _ in parts for i in range(1, len(ids) + 1)]
        logits = np.tile(-np.linspace(0, 1, self._n_tokens, dtype=np.float32), (len(wanted), 1))
        for row, place in zip(logits, (places[i] for i in wanted), strict=True):
            row[self._text_ids[min(max(place - self._n_prompt, 0), len(self._text_ids) - 1)]] = 9.0
        return logits


@pytest.mark.parametrize("lookup", [False, True])
@pytest.mark.parametrize(
    ("wanted", "n_markers", "same"),
    [
        ("It is so [2]. See [1].", 2, True),
        ("a list[str] of 12 [sic].", 2, True),
        ("It is so [3]. It is so [7].", 2, False),
        ("It is so [passage 3].", 2, False),
        ("so[1]so", 2, False),
    ],
)
def test_a_marker_that_does_not_exist_is_not_written_even_where_it_is_the_most_probable(
    llama: TorchDecoder, wanted: str, n_markers: int, same: bool, lookup: bool
) -> None:
    words = llama.vocabulary
    request = ask(temperature=0.0, max_new_tokens=40)
    ids = [*words.prompts.encode_text(wanted), *sorted(llama.end_ids)[:1]]
    n_prompt = len(words.prompts.encode_prompt(request.messages))
    decoder = PagedDecoder(
        Stubborn(ids, n_prompt, words.n_tokens),
        words,
        info=llama.info,
        end_ids=llama.end_ids,
        n_vocabulary=words.n_tokens,
        reference=lambda: llama,
        lookup=lookup,
    )
    free, ruled = decoder.generate(
        [dataclasses.replace(request, n_markers=None), dataclasses.replace(request, n_markers=n_markers)]
    )
    (alone,) = decoder.generate([dataclasses.replace(request, n_markers=n_markers)])
    assert free.text == wanted and obeys(wanted, n_markers) is same
    assert obeys(closed(ruled), n_markers) and alone.text == ruled.text
    assert (ruled.text == free.text) is same


def test_beam_search_says_that_it_does_not_obey(llama: TorchDecoder) -> None:
    with pytest.raises(UnsupportedError, match="num_beams"):
        llama.generate([ask(temperature=0.0, num_beams=2)])
