"""Bare replies as statements."""

import pytest

from rag.verify.claims import split_claims
from rag.verify.readings import read_claims
from rag.verify.whether import Whether, read_reply
from rag.verify.windows import WordCounts


@pytest.mark.parametrize(
    ("question", "reply", "statement", "is_denied"),
    [
        ("Was Lindenhof founded in 1987?", "Yes.", "Lindenhof was founded in 1987.", False),
        ("Was Lindenhof founded in 1987?", "No", "Lindenhof was founded in 1987.", True),
        ("is the sky blue", "yes", "The sky blue.", False),  # where "is" belongs is not found
        ("Is Helene Roth the safety officer?", "No, she is not.", "Helene Roth is the safety officer.", True),
        ("Can employees carry over leave?", "No, they can't.", "Employees can carry over leave.", True),
        ("May anybody come in?", "yes", "Anybody may come in.", False),
        ("Are shoes mandatory in the factory?", "yes", "Shoes are mandatory in the factory.", False),
        ("Is the price in Germany 28 EUR?", "no", "The price in Germany is 28 EUR.", True),
        ("Is the museum in the old town free?", "yes", "The museum in the old town is free.", False),
        ("Is damage to a car reported within a week?", "no", "Damage to a car is reported within a week.", True),
        ("Was the bridge over the river built in 1843?", "yes", "The bridge over the river was built in 1843.", False),
        ("Is the car park behind hall 2?", "yes", "The car park is behind hall 2.", False),
        ("Was Osman one of the founders?", "yes", "Osman was one of the founders.", False),
        ("Can a request be withdrawn?", "Yes!", "A request can be withdrawn.", False),
        ("Has the museum been sold?", "Nope.", "The museum has been sold.", True),
        ("Did the tower close in 1990?", "Yes, it did.", "The tower close in 1990.", False),
        ("Is there a canteen?", "Yes, there is.", "There is a canteen.", False),
        ("I work in Colmar. Is the office open on Sunday?", "no", "The office is open on Sunday.", True),
        ("Is the director of the museum Ada King?", "yes", "The director of the museum Ada King.", False),
        ("If I am ill, do I need a certificate?", "yes", "If I am ill, I need a certificate.", False),
        ("According to the rules, is smoking allowed?", "no", "According to the rules, smoking is allowed.", True),
        ("Who made the bridge? Is it open?", "yes", "Who made the bridge? It is open.", False),
        ("Hello, is smoking allowed?", "no", "Smoking is allowed.", True),
        ("Is the tower higher than 300 m?", "yes", "The tower is higher than 300 m.", False),
        ("Are meals paid as a daily allowance?", "as a daily allowance", "Meals are paid as a daily allowance.", False),
        ("Was it founded in 1987?", "Yes, in 1987.", "It was founded in 1987.", False),
        (
            "Was Lindenhof founded in 1987?",
            "Ada Lind and Osman Yildiz founded it in Freiburg in 1987.",
            "Ada Lind and Osman Yildiz founded it in Freiburg in 1987.",
            False,
        ),
    ],
)
def test_a_reply_states_what_was_asked(question: str, reply: str, statement: str, is_denied: bool) -> None:
    assert read_reply(question, reply) == Whether(statement=statement, is_denied=is_denied)


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("When was it founded?", "yes"),
        ("Was it founded in 1987?", "Yes, in Freiburg."),  # says more
        ("Are receipts needed for meals?", "not for meals"),
        (
            "Are taxis paid for?",
            "The use of a private car is paid at 0.38 EUR per kilometre.",
        ),  # answers half of it at most
        ("Is it A or B?", "yes"),
        ("Are both museums open?", "no"),
        ("Are Ada and Emma from the same country?", "no"),
        ("Is smoking not allowed?", "no"),
        ("Isn't it open?", "no"),
        ("Is it?", "no"),
        ("The tower, which was built in 1889, is it open?", "yes"),
        ("", "no"),
        ("Was it?", ""),
    ],
)
def test_other_questions_and_replies_stay_what_they_are(question: str, reply: str) -> None:
    assert read_reply(question, reply) is None


def test_what_is_read_of_a_bare_reply_is_its_statement() -> None:
    claims = split_claims("No.", "Was Lindenhof founded in 1990?")
    (reading,) = read_claims(claims, ["Lindenhof was founded in 1987."], WordCounts(n_texts=1, n_with={}))
    assert reading.is_denied
    assert reading.wording.text == reading.wording.own == "Lindenhof was founded in 1990."
    assert reading.wording.asked == "" and not reading.stretches
