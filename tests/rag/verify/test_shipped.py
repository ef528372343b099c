"""The shipped verifier on its real base encoder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from llm.errors import ModelNotFoundError
from llm.sources import ModelStore
from llm.types import Device
from rag.verify.claims import split_claims
from rag.verify.judge import ClaimJudge, load_judge

pytestmark = pytest.mark.model

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)
RULES = (
    "Marta Lindner and Osman Yildiz founded the company in Freiburg in 1987. Helene Roth is the safety officer. Today "
    "214 people work at three sites: the head office in Freiburg, the factory in Colmar and the calibration laboratory "
    "in Basel. The help desk never asks for a password. Special leave cannot be exchanged for money."
)
LEAVE = (
    "Employees get 16 weeks of paid parental leave. Sick leave is paid for ten days a year; after four weeks of "
    "illness a certificate is needed. The notice period is four weeks during probation."
)
ASKED = "How many weeks of parental leave?"


@pytest.fixture(scope="module")
def large() -> Iterator[ClaimJudge]:
    """The verifier with the large encoder."""
    found = load_judge(pulled("all-MiniLM-L6-v2"), CPU, large_base=pulled("all-mpnet-base-v2"))
    yield found
    found.model.close()


@pytest.fixture(scope="module", params=["shipped", "large"])
def judge(request: pytest.FixtureRequest) -> Iterator[ClaimJudge]:
    """The verifier by itself, and with the large encoder."""
    if request.param == "large":
        yield request.getfixturevalue("large")
        return
    found = load_judge(pulled("all-MiniLM-L6-v2"), CPU)
    yield found
    found.model.close()


def pulled(name: str) -> Path:
    """The folder of a model that was pulled before."""
    cache = os.environ.get("CITEBOUND_MODEL_CACHE") or user_cache_path("citebound", appauthor=False) / "models"
    try:
        return ModelStore(Path(cache), offline=True).resolve(name).folder
    except ModelNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("said", "is_supported"),
    [
        ("16", True),
        ("16 weeks", True),
        ("sixteen", True),
        ("Sixteen weeks", True),
        ("Parental leave is 16 weeks.", True),
        ("four", False),  # weeks, but of something else
        ("four weeks", False),
        ("Parental leave is four weeks.", False),
        ("20 weeks", False),
        ("Parental leave", False),  # says nothing that was not asked
    ],
)
def test_a_short_answer_is_read_with_its_question(judge: ClaimJudge, said: str, is_supported: bool) -> None:
    (found,) = judge.judge(split_claims(said, ASKED), [LEAVE])
    assert (found.label == "supported") == is_supported
    assert (found.score >= judge.info.threshold) == is_supported


@pytest.mark.parametrize(
    ("asked", "said", "is_supported"),
    [
        ("Who founded Lindenhof Instruments?", "Marta Lindner and Osman Yildiz", True),
        ("Where was Lindenhof Instruments founded?", "Freiburg", True),
        ("When was Lindenhof Instruments founded?", "1987", True),
        ("When was Lindenhof Instruments founded?", "1988", False),
        ("Who founded Lindenhof Instruments?", "Anna Berg", False),
    ],
)
def test_an_answers_sentence_may_leave_its_subject_to_the_one_before(
    judge: ClaimJudge, asked: str, said: str, is_supported: bool
) -> None:
    evidence = (
        "Lindenhof Instruments makes precision scales for laboratories. Marta Lindner and Osman Yildiz founded the "
        "company in Freiburg in 1987, in a former watchmaker's workshop."
    )
    others = ["Lindenhof Instruments: Employee Handbook", "Welcome to Lindenhof Instruments, where 214 work in Colmar."]
    for shown in ([evidence], [evidence, *others]):
        (found,) = judge.judge(split_claims(said, asked), shown)
        assert (found.label == "supported") == is_supported


@pytest.mark.parametrize(
    ("asked", "said", "is_supported"),
    [
        ("Who founded Lindenhof Instruments?", "Helene Roth", False),  # of the right kind, beside the answer
        ("Who founded Lindenhof Instruments?", "Marta Lindner and Osman Yildiz", True),
        ("Who is the safety officer?", "Helene Roth", True),
        ("Who is the safety officer?", "Marta Lindner", False),
    ],
)
def test_what_the_text_names_for_something_else_is_no_answer(
    judge: ClaimJudge, asked: str, said: str, is_supported: bool
) -> None:
    evidence = (
        "Lindenhof Instruments makes precision scales. Marta Lindner and Osman Yildiz founded the company in Freiburg "
        "in 1987. Helene Roth is the safety officer."
    )
    (found,) = judge.judge(split_claims(said, asked), [evidence])
    assert (found.label == "supported") == is_supported
    if not is_supported:
        assert any(reason.startswith("the evidence seems to answer: ") for reason in found.reasons)


@pytest.mark.parametrize(
    ("asked", "said", "label"),
    [
        ("Was Lindenhof Instruments founded in 1987?", "Yes.", "supported"),
        ("Was Lindenhof Instruments founded in 1987?", "No.", "contradicted"),
        ("Was Lindenhof Instruments founded in 1990?", "No, it was not.", "supported"),
        ("Is Helene Roth the safety officer?", "yes", "supported"),
        ("Is Helene Roth the safety officer?", "no", "contradicted"),
        ("Was the company founded by Anna Berg?", "Yes", "not"),
        ("Was the company founded by Anna Berg?", "no", "supported"),
        ("Does Lindenhof Instruments make bicycles?", "Yes", "not"),
        ("Is there a canteen?", "Yes, there is.", "not"),
        ("Is there a canteen?", "No.", "unsupported"),  # the text does not say
        ("Was Lindenhof Instruments founded in 1987?", "in 1987", "supported"),
        ("Was Lindenhof Instruments founded in 1990?", "in 1990", "not"),
        ("Was Lindenhof Instruments founded in 1987?", "Osman Yildiz founded the company in 1987.", "supported"),
    ],
)
def test_yes_and_no_say_that_what_was_asked_is_so_or_not(judge: ClaimJudge, asked: str, said: str, label: str) -> None:
    evidence = (
        "Lindenhof Instruments makes precision scales. Marta Lindner and Osman Yildiz founded the company in Freiburg "
        "in 1987. Helene Roth is the safety officer."
    )
    (found,) = judge.judge(split_claims(said, asked), [evidence])
    assert found.label == label or (label == "not" and found.label != "supported")
    assert (found.score >= judge.info.threshold) == (found.label == "supported")


def test_the_same_claims_get_the_same_judgements_whatever_is_read_beside_them(judge: ClaimJudge) -> None:
    claims = split_claims("The notice period is four weeks during probation. Sick leave is paid for ten days a year.")
    together = judge.judge(claims, [LEAVE])
    assert together == judge.judge(claims, [LEAVE])
    assert together == tuple(found for one in claims for found in judge.judge([one], [LEAVE]))
    assert all(found.label == "supported" for found in together)


def test_what_a_sentence_says_word_for_word_is_supported(judge: ClaimJudge) -> None:
    evidence = (
        "Trips are approved by the team lead; all other trips also need the approval of the site's head.\nFlights are "
        "booked only where the journey by train takes longer than six hours.\nFirst-class train tickets are allowed on "
        "journeys of more than three hours."
    )
    said = "First-class train tickets are allowed on journeys of more than three hours"
    for asked in (None, "Can I book first class on trains?"):
        (found,) = judge.judge(split_claims(said, asked), [evidence])
        assert found.label == "supported" and found.score > 0.99


def test_an_amount_of_another_kind_than_was_asked_is_not_supported(judge: ClaimJudge) -> None:
    evidence = ["Parental pay is topped up to 80 percent of the last salary for the first six months."]
    (found,) = judge.judge(split_claims("80 percent", ASKED), evidence)
    assert found.label == "unsupported"
    assert found.reasons[0] == "80 percent is no answer to a question for time"


@pytest.mark.parametrize(
    ("said", "is_supported"),
    [
        ("Helene Roth is the safety officer.", True),
        ("Marta Lindner is the safety officer.", False),  # she founded it
        ("Anna Berg is the safety officer.", False),
        ("The head office is in Freiburg.", True),
        ("The head office is in Colmar.", False),
        ("The factory is in Colmar.", True),
        ("The help desk asks for passwords.", False),
        ("Special leave can be exchanged for money.", False),
    ],
)
def test_the_large_verifier_takes_no_name_or_place_for_anothers(
    large: ClaimJudge, said: str, is_supported: bool
) -> None:
    (found,) = large.judge(split_claims(said), [RULES])
    assert (found.label == "supported") == is_supported, found
