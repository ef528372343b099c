import pytest

from rag.verify.measures import other_measure


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("How many weeks of parental leave are there?", "80 percent", ("80 percent", "time")),
        ("How many weeks of parental leave are there?", "$5 million", ("$5", "time")),
        ("How many working days does it take?", "12 km", ("12 km", "time")),
        ("What percentage of pay goes on?", "14 weeks", ("14 weeks", "a share")),
        ("How much is paid per kilometre for a private car?", "400 kilometres", ("400 kilometres", "money")),
        ("Wie viele Tage Urlaub gibt es?", "30 Prozent", ("30 Prozent", "time")),
    ],
)
def test_an_amount_of_another_kind_is_named(question: str, answer: str, expected: tuple[str, str]) -> None:
    assert other_measure(question, answer) == expected


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many weeks of leave are there?", "14"),
        ("How many weeks of leave are there?", "three months"),
        ("How many weeks of leave are there?", "14 weeks at 80 percent"),
        ("How many miles is it?", "100 km"),
        ("How many pounds did it weigh?", "20 kg"),
        ("How many euros are paid?", "3 m"),
        ("How many people voted?", "80 percent"),
        ("How long does it take?", "12 km"),
        ("How much of the salary is paid during leave?", "80 percent"),
        ("How much does it weigh?", "12 kg"),
        ("How much is paid per kilometre?", "0.38 EUR"),
        ("How many weeks of leave are there?", "It is said that of all the pay that there was 80 percent goes on"),
        ("", "80 percent"),
    ],
)
def test_what_may_well_be_meant_is_let_through(question: str, answer: str) -> None:
    assert other_measure(question, answer) is None
