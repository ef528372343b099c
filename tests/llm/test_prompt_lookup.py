"""Drafts copied from the prompt."""

from collections.abc import Sequence

from llm.engines.prompt_lookup import PromptLookup

_WORDS = (
    "<s>",
    "\n",
    "[",
    "1",
    "2",
    "]",
    " Denver",
    "Denver",
    " Broncos",
    " won",
    " it",
    " [",
    " in",
    " Rome",
    " The",
    "The",
)


def looked_up(tokens: Sequence[int]) -> PromptLookup:
    return PromptLookup(tokens, lambda token: f"w{token}")


def ids(*words: str) -> list[int]:
    return [_WORDS.index(word) for word in words]


def in_words(prompt: list[int], expected: Sequence[int] = ()) -> PromptLookup:
    return PromptLookup(prompt, lambda token: "" if token == 0 else _WORDS[token], expected)


_PASSAGES = ids(
    "<s>", "\n", "[", "2", "]", " Rome", "\n", " it", " won", "\n", "[", "1", "]", " Denver", " Broncos", " won", "\n"
)


def test_the_longest_agreement_wins_over_a_later_one() -> None:
    #                      longest: 1 2 3 4 → 50          later: 3 4 → 60
    lookup = looked_up([1, 2, 3, 4, 50, 51, 52, 53, 54, 9, 3, 4, 60, 61, 62, 9, 8, 1, 2, 3, 4])
    assert lookup.draft(3) == [50, 51, 52]


def test_the_latest_wins_among_equals_and_the_end_itself_is_no_match() -> None:
    lookup = looked_up([3, 4, 50, 7, 3, 4, 60, 8, 3, 4])
    assert lookup.draft(1) == [60]


def test_little_is_drafted_from_a_short_agreement_and_nothing_without_one() -> None:
    assert len(looked_up([3, 4, *range(50, 70), 3, 4]).draft(16)) == 4
    assert looked_up([1, 2, 3, 4, 5]).draft(8) == []
    assert looked_up([1]).draft(8) == []
    assert looked_up([3, 4, 5, 3, 4]).draft(0) == []


def test_a_draft_grows_while_it_is_right() -> None:
    lookup = looked_up([*range(100), *range(20)])
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
    lookup = looked_up([5, 5] * 20)
    n_drafts = 0
    for _ in range(40):
        draft = lookup.draft(4)
        lookup.learn(len(draft), 0)
        n_drafts += bool(draft)
        lookup.extend([5])
    assert 4 <= n_drafts <= 12


def test_tokens_of_the_text_itself_are_looked_up_as_well() -> None:
    lookup = looked_up([1, 2])
    lookup.extend([30, 31, 32, 33, 1, 30, 31])
    assert lookup.draft(2) == [32, 33]


def test_a_text_that_repeats_itself_is_drafted_round_and_round() -> None:
    assert looked_up([9, 1, 2, 3, 1, 2, 3, 1, 2, 3]).draft(8) == [1, 2, 3, 1, 2, 3]


def test_the_number_of_a_marker_is_that_of_the_passage_copied_last() -> None:
    lookup = in_words(_PASSAGES)
    lookup.extend(ids("Denver"))
    assert lookup.draft(2) == ids(" Broncos", " won")  # a rare token is enough, with or without its blank
    lookup.learn(2, 1)
    lookup.extend(ids(" Broncos", " ["))
    assert lookup.draft(8) == ids("1", "]")
    lookup = in_words(_PASSAGES)
    lookup.extend(ids(" it"))
    lookup.draft(2)
    lookup.extend(ids(" ["))
    assert lookup.draft(8) == ids("2", "]")
    assert lookup.draft(1) == ids("2")


def test_a_bracket_in_a_prompt_without_passages_drafts_no_marker() -> None:
    lookup = in_words(ids(" Denver", " won", " it"))
    lookup.extend(ids(" it", " ["))
    assert lookup.draft(8) == []


def test_brackets_of_the_prompt_itself_are_not_continued() -> None:
    assert in_words([*_PASSAGES, *ids(" it", " [")]).draft(8) == []


def test_an_expected_sentence_is_drafted_whole_while_the_text_is_its_beginning() -> None:
    lookup = in_words(_PASSAGES, ids("The", " Broncos", " won", " in", " Rome"))
    lookup.extend(ids("The"))
    assert lookup.draft(8) == ids(" Broncos", " won", " in", " Rome")
    lookup.extend(ids(" Broncos"))
    assert lookup.draft(2) == ids(" won", " in")
    lookup.extend(ids(" in"))
    assert lookup.draft(8) == []


def test_of_one_token_little_is_drafted_and_of_a_frequent_one_nothing() -> None:
    assert in_tokens([*range(20, 30)], [25]).draft(8) == [26, 27, 28]
    assert in_tokens(list(range(20, 30)) * 9, [25]).draft(8) == []


def in_tokens(prompt: list[int], text: list[int]) -> PromptLookup:
    lookup = looked_up(prompt)
    lookup.extend(text)
    return lookup


def test_drafts_that_are_known_neither_rest_nor_teach() -> None:
    lookup = in_words(_PASSAGES)
    for _ in range(6):  # markers that were wrong
        lookup.extend(ids(" ["))
        assert lookup.draft(8)
        lookup.learn(2, 0)
    lookup.extend(ids("Denver"))
    assert lookup.draft(2) == ids(" Broncos", " won")
