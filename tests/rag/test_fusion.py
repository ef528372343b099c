import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.fusion import fuse

EQUAL = {"dense": 1.0, "lexical": 1.0}
rankings = st.fixed_dictionaries(
    {name: st.lists(st.integers(1, 30), unique=True, max_size=15) for name in ("dense", "lexical")}
)


def ids(fused):
    return [hit.passage_id for hit in fused]


def test_worked_by_hand():
    fused = fuse({"dense": [10, 20, 30], "lexical": [30, 40, 10]}, EQUAL)
    assert ids(fused) == [10, 30, 20, 40]
    # 10: 1/61 + 1/63, 30: 1/63 + 1/61, 20 and 40: 1/62
    assert [hit.score for hit in fused] == pytest.approx([0.0322664585, 0.0322664585, 0.0161290323, 0.0161290323])


def test_weights_and_c_worked_by_hand():
    fused = fuse({"dense": [1, 2], "lexical": [2]}, {"dense": 2.0, "lexical": 0.5}, c=0)
    assert [(hit.passage_id, hit.score) for hit in fused] == [(1, 2.0), (2, 1.5)]


def test_being_in_both_beats_being_first_in_one():
    assert ids(fuse({"dense": [1, 2], "lexical": [3, 2]}, EQUAL))[0] == 2


def test_ties_go_by_id():
    assert ids(fuse({"dense": [9], "lexical": [4]}, EQUAL)) == [4, 9]


def test_a_source_without_weight_adds_no_passage():
    assert ids(fuse({"dense": [1], "lexical": [2]}, {"dense": 1.0, "lexical": 0.0})) == [1]


def test_nothing_gives_nothing():
    assert fuse({"dense": [], "lexical": []}, EQUAL) == ()
    assert fuse({}, {}) == ()


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, None])
def test_a_weight_that_is_none_is_refused(weight):
    weights = {"dense": 1.0} | ({} if weight is None else {"lexical": weight})
    with pytest.raises(ValueError, match="lexical needs a weight"):
        fuse({"dense": [1], "lexical": [1]}, weights)


def test_a_passage_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        fuse({"dense": [1, 1]}, EQUAL)


@given(rankings)
def test_fusion_covers_the_union_in_falling_order(given_rankings):
    fused = fuse(given_rankings, EQUAL)
    assert set(ids(fused)) == set(given_rankings["dense"]) | set(given_rankings["lexical"])
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)
    assert fused == fuse(dict(reversed(given_rankings.items())), EQUAL)


@given(rankings, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_one_factor_on_all_weights_changes_no_place(given_rankings, factor):
    scaled = fuse(given_rankings, {name: weight * factor for name, weight in EQUAL.items()})
    assert ids(scaled) == ids(fuse(given_rankings, EQUAL))


@given(st.lists(st.integers(), unique=True, max_size=20))
def test_one_source_keeps_its_order(ranking):
    assert ids(fuse({"dense": ranking}, EQUAL)) == ranking
