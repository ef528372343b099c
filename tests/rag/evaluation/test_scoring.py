import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.scoring import (
    contains_reference,
    exact_match,
    external_result,
    judged_equivalent,
    normalize_answer,
    score_answer,
    token_f1,
)
from rag.evaluation.types import Case, ExternalAnswer, LabelledClaim
from rag.verify.overlap_judge import OverlapJudge

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The Beatles!", "beatles"),
        ("an  apple, a day", "apple day"),
        ("U.S.", "us"),
        ("theatre", "theatre"),
        ("the", ""),
        ("1,000", "1000"),
    ],
)
def test_text_is_normalized_as_squad_does(text: str, normalized: str) -> None:
    assert normalize_answer(text) == normalized


def test_f1_by_hand() -> None:
    # found: cat sat on mat; wanted: cat on mat today: 3 shared, precision 3/4, recall 3/4
    assert token_f1("the cat sat on the mat", ["a cat on the mat today"]) == pytest.approx(0.75)
    assert token_f1("cat cat", ["cat"]) == pytest.approx(2 / 3)  # the second "cat" is shared with nothing
    assert token_f1("dog", ["cat", "dog"]) == 1.0
    assert token_f1("dog", []) == 0.0
    assert token_f1("the", ["a"]) == 1.0
    assert token_f1("the", ["dog"]) == 0.0


def test_a_reference_is_contained_by_whole_words() -> None:
    assert contains_reference("It was built in 1889, in Paris.", ["in Paris"])
    assert not contains_reference("The cathedral", ["cat"])
    assert not contains_reference("anything", ["the"])  # it has no words left


@pytest.mark.parametrize(
    ("text", "references", "outcome"),
    [
        ("It was signed on 17 June 1940 [1].", ("17 June 1940",), "correct"),
        ("It was signed on 18 June 1940 [1].", ("17 June 1940",), "wrong"),
        ("18 June 1940", ("17 June 1940",), "wrong"),  # F1 is 2/3, but the number is another
        ("1338–39", ("dating to 1338–39",), "correct"),  # F1 is 1/2
        ("Chief Hendrick", ("Hendrick",), "correct"),
        ("Hendrick Theyanoguin of the Mohawk", ("Chief Hendrick Theyanoguin",), "correct"),
        ("Johnson", ("Chief Hendrick",), "wrong"),
    ],
)
def test_the_rule_for_a_correct_answer(text: str, references: tuple[str, ...], outcome: str) -> None:
    case = Case(case_id="1", question="?", reference_answers=references)
    score = score_answer(case, text, abstained=False)
    assert (score.outcome, score.decided_by) == (outcome, "references")


def test_without_references_correctness_is_undefined() -> None:
    score = score_answer(Case(case_id="1", question="?"), "Ann.", abstained=False)
    assert (score.outcome, score.decided_by, score.exact_match, score.token_f1) == (None, None, None, None)
    assert score_answer(Case(case_id="1", question="?"), "", abstained=True).outcome == "abstained"


def test_a_person_stands_above_the_references() -> None:
    case = Case(case_id="1", question="?", reference_answers=("Ann",))
    assert score_answer(case, "Ann", abstained=False, label="wrong").outcome == "wrong"
    assert score_answer(case, "Bob", abstained=False, label="correct").outcome == "correct"
    refused = score_answer(case, "I cannot say whether it was Ann.", abstained=False, label="abstained")
    assert (refused.abstained, refused.outcome, refused.decided_by) == (True, "abstained", "person")
    assert score_answer(case, "Ann", abstained=False, label="wrong").exact_match is True  # the measure stays


@pytest.mark.parametrize(
    ("label", "abstained", "outcome"),
    [
        (None, True, "right_abstention"),
        (None, False, "false_confidence"),
        ("correct", False, "right_abstention"),
        ("abstained", False, "right_abstention"),
        ("wrong", True, "false_confidence"),
    ],
)
def test_unanswerable_cases_ask_for_abstention(label, abstained: bool, outcome: str) -> None:
    case = Case(case_id="1", question="?", answerable=False)
    assert score_answer(case, "x", abstained=abstained, label=label).outcome == outcome


@pytest.mark.parametrize(
    ("text", "case", "abstained"),
    [
        ("", Case(case_id="1", question="?"), True),
        (" \n", Case(case_id="1", question="?"), True),
        ("I don't know who that was.", Case(case_id="1", question="?"), True),
        ("The documents do not contain an answer to this question.", Case(case_id="1", question="?"), True),
        ("May", Case(case_id="1", question="In which month?"), False),
        ("None", Case(case_id="1", question="How many?", reference_answers=("none",)), False),
        ("unknown", Case(case_id="1", question="?", gold_passages=("Its author is unknown.",)), False),
        ("Ann", Case(case_id="1", question="?"), False),
    ],
)
def test_what_an_answer_made_elsewhere_abstains_with(text: str, case: Case, abstained: bool) -> None:
    assert external_result(case, ExternalAnswer(case_id="1", text=text), system="s").abstained is abstained


def test_claims_that_people_judged_keep_their_place_and_label() -> None:
    answer = ExternalAnswer(
        case_id="1",
        text="Ann wrote it.",
        claims=(LabelledClaim(text="Ann wrote it", label="contradicted"), LabelledClaim(text="(Ann, wrote, it)")),
    )
    result = external_result(Case(case_id="1", question="?"), answer, system="s")
    assert result.claims is not None
    placed, free = result.claims
    assert (placed.start, placed.end, placed.verdict, placed.decided_by) == (0, 12, "contradicted", "person")
    assert (free.start, free.end, free.verdict, free.decided_by) == (None, None, None, None)
    assert result.hallucinates is True


def test_an_answer_in_which_people_found_claims_is_no_abstention() -> None:
    text = "I don't know who wrote it, but it opened in 1890."
    case = Case(case_id="1", question="?")
    assert external_result(case, ExternalAnswer(case_id="1", text=text), system="s").abstained
    split = ExternalAnswer(case_id="1", text=text, claims=(LabelledClaim(text="It opened in 1890", label="supported"),))
    assert not external_result(case, split, system="s").abstained


def test_the_judge_finds_a_reference_in_other_words_than_the_rule() -> None:
    case = Case(case_id="1", question="Who wrote the report?", reference_answers=("Ann Maria Lee",))
    judge = OverlapJudge()
    assert judged_equivalent(case, "The report was written by Lee, Ann Maria.", judge) is True
    assert judged_equivalent(case, "Nobody.", judge) is False
    assert judged_equivalent(Case(case_id="1", question="Who?"), "Ann", judge) is None


@settings(UNHURRIED)
@given(text=st.text(max_size=60), references=st.lists(st.text(max_size=30), max_size=3))
def test_measures_stay_in_bounds_and_an_equal_answer_is_perfect(text: str, references: list[str]) -> None:
    assert 0 <= token_f1(text, references) <= 1
    assert exact_match(text, [*references, text])
    assert token_f1(text, [*references, text]) == 1
    if contains_reference(text, references):
        assert token_f1(text, references) > 0
