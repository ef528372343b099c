"""Drafts copied from the prompt."""

from llm.engines.prompt_lookup import PromptLookup


def test_the_longest_agreement_wins_over_a_later_one() -> None:
    #                      longest: 1 2 3 4 → 50          later: 3 4 → 60
    lookup = PromptLookup([1, 2, 3, 4, 50, 51, 52, 53, 54, 9, 3, 4, 60, 61, 62, 9, 8, 1, 2, 3, 4])
    assert lookup.draft(3) == [50, 51, 52]


def test_the_latest_wins_among_equals_and_the_end_itself_is_no_match() -> None:
    lookup = PromptLookup([3, 4, 50, 7, 3, 4, 60, 8, 3, 4])
    assert lookup.draft(1) == [60]


def test_little_is_drafted_from_a_short_agreement_and_nothing_without_one() -> None:
    assert len(PromptLookup([3, 4, *range(50, 70), 3, 4]).draft(16)) == 4
    assert PromptLookup([1, 2, 3, 4, 5]).draft(8) == []
    assert PromptLookup([1]).draft(8) == []
    assert PromptLookup([3, 4, 5, 3, 4]).draft(0) == []


def test_a_draft_grows_while_it_is_right() -> None:
    lookup = PromptLookup([*range(100), *range(20)])
    lengths = []
    at = 20
    for _ in range(3):
        draft = lookup.draft(16)
        assert draft == list(range(at, at + len(draft)))
        lengths.append(len(draft))
        lookup.learn(len(draft), len(draft))
        lookup.extend(draft)
        at += len(draft)
    assert lengths[0] < lengths[1] < lengths[2] <= 16


def test_after_wrong_drafts_there_is_a_rest_that_ends() -> None:
    lookup = PromptLookup([5, 5] * 20)
    n_drafts = 0
    for _ in range(40):
        draft = lookup.draft(4)
        lookup.learn(len(draft), 0)
        n_drafts += bool(draft)
        lookup.extend([5])
    assert 4 <= n_drafts <= 12


def test_tokens_of_the_text_itself_are_looked_up_as_well() -> None:
    lookup = PromptLookup([1, 2])
    lookup.extend([30, 31, 32, 33, 1, 30, 31])
    assert lookup.draft(2) == [32, 33]


def test_a_text_that_repeats_itself_is_drafted_round_and_round() -> None:
    assert PromptLookup([9, 1, 2, 3, 1, 2, 3, 1, 2, 3]).draft(8) == [1, 2, 3, 1, 2, 3]
