import pytest

from rag.draft import is_abstention, is_complete, tidy


def tidied(text: str, *, cut_short: bool = False, max_sentences: int = 3) -> str:
    return tidy(text, cut_short=cut_short, max_sentences=max_sentences)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("  Answer: Paris.  ", "Paris."),
        ("The answer to this question is: Chihuahua.", "Chihuahua."),
        ("The answer is: The answer is: The answer is:", ""),
        ("Assistant: Answer: Paris.", "Paris."),
        ("The answer is Paris.", "The answer is Paris."),  # words are not changed, only labels cut off
        ("Paris.\n\nQuestion: What is next?\nAnswer: Rome.", "Paris."),
        ("It is red. It is red. It is red.", "It is red."),
        ("It is red [1]. It is red [2].", "It is red [1]."),
        ("One. Two. Three. Four.", "One. Two. Three."),
        ("- First item [1]\n- Second item", "- First item [1]\n- Second item"),
        ("", ""),
    ],
)
def test_tidies(text: str, answer: str) -> None:
    assert tidied(text) == answer


def test_an_unfinished_sentence_goes_only_where_a_finished_one_stays() -> None:
    assert tidied("It is red [1]. And it was", cut_short=True) == "It is red [1]."
    assert tidied("It is red because it was", cut_short=True) == "It is red because it was"
    assert tidied("It is red. And it was") == "It is red. And it was"


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("One. Two. Three.", False),
        ("One. Two. Three. F", True),
        ("Red. Red", False),  # may become "Redwood"
        ("It is red. It is red.", True),
        ("Paris.\nQuestion:", True),
        ("", False),
    ],
)
def test_generation_stops_where_nothing_more_would_be_kept(text: str, complete: bool) -> None:
    assert is_complete(text, 3) is complete


@pytest.mark.parametrize(
    "text",
    [
        "The documents do not contain an answer to this question.",
        "The document doesn't provide a clear answer.",
        "I don’t know.",
        "I do not know the answer to this question. It may be Paris.",
        "Sorry, but I cannot answer that.",
        "Unfortunately, the provided passages do not mention it.",
        "None of the passages says so [1].",
        "There is no information about this.",
        "Not mentioned.",
        "Unknown.",
        "It cannot be determined.",
        "",
        " [1]",
        "...",
    ],
)
def test_recognises_that_there_is_no_answer(text: str) -> None:
    assert is_abstention(text)


@pytest.mark.parametrize(
    "text",
    ["The document was signed in 1919.", "I Robot.", "Notable people.", "No, it was not.", "The text says red.", "308"],
)
def test_an_answer_is_no_abstention(text: str) -> None:
    assert not is_abstention(text)
