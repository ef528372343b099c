import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.verify.checks import compare, is_negated, names_of, quantities, reasons


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("69,197 people", [69_197]),
        ("sixty-nine thousand", [69_000]),
        ("3.5 million", [3_500_000]),
        ("3,5 km", [3.5]),
        ("the 1970s", [1970]),
        ("the 19th century", [19]),
        ("12%", [12]),
        ("twenty years", [20]),
        ("no number", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, values: list[float]) -> None:
    assert [one.value for one in quantities(text)] == values


def test_the_same_number_in_other_notation_is_found() -> None:
    assert compare("It cost 3.5 million.", "The price was 3,500,000 euros.").missing_numbers == ()
    assert compare("Twelve ships sailed.", "A fleet of 12 ships sailed.").missing_numbers == ()


def test_a_missing_number_is_named_for_people() -> None:
    found = compare("The bridge opened in 1884.", "The bridge opened in 1883.")
    assert found.missing_numbers == ("1884",)
    assert reasons(found) == ("1884 is not in the evidence",)


def test_units_tell_numbers_apart() -> None:
    assert compare("It is 5 km long.", "It is 5 m long.").missing_numbers == ("5 km",)


def test_a_year_meets_its_decade_and_its_century() -> None:
    assert compare("It began in the late 1950s.", "Founded in 1959.").missing_numbers == ()
    assert compare("It is of the 20th century.", "Founded in 1959.").missing_numbers == ()
    assert compare("It is of the 19th century.", "Founded in 1959.").missing_numbers == ("19th",)
    assert compare("It began in 1958.", "It is of the 1950s.").missing_numbers == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("It began in the 1800's.", "Founded in 1860.", ()),
        ("It began in the late 1700s.", "Founded in 1794.", ()),
        ("It began in the 1700s.", "Founded in 1814.", ("1700s",)),
        ("It is for 2018–19.", "It is for the year 2018-2019.", ()),
        ("It is for 2018-19.", "It is for 2018.", ("19",)),
        ("It began on 2018-10-19.", "It began in 2018, on October 19.", ()),
    ],
)
def test_periods_are_read_as_people_write_them(claim: str, evidence: str, missing: tuple[str, ...]) -> None:
    assert compare(claim, evidence).missing_numbers == missing


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("More than 70% agree.", "80% agree.", ()),
        ("More than 70% agree.", "60% agree.", ("70%",)),
        ("Over 100 people came.", "There were 155 guests.", ()),
        ("Over 100 people came.", "It was in 1980.", ("100",)),  # a number of something else
        ("Fewer than 40 came.", "There were 32 guests.", ()),
        ("Fewer than 40 came.", "There were 44 guests.", ("40",)),
        ("70% agree.", "80% agree.", ("70%",)),
    ],
)
def test_a_bound_is_met_by_what_lies_on_its_side(claim: str, evidence: str, missing: tuple[str, ...]) -> None:
    assert compare(claim, evidence).missing_numbers == missing


def test_small_numbers_may_have_been_counted() -> None:
    found = compare("It has two sides and 42 doors.", "There is a front and a back.")
    assert found.missing_numbers == ("two", "42")
    assert found.plain_missing == ("42",)


def test_a_month_is_looked_up() -> None:
    assert compare("Leave expires in May.", "Leave expires in March.").missing_numbers == ("May",)
    assert compare("It may rain.", "It rains.").n_numbers == 0


def test_another_number_of_the_same_thing_conflicts() -> None:
    found = compare("Employees get 14 days.", "Employees get 30 days of leave; parents take 14 weeks.")
    assert found.missing_numbers == ()
    assert found.conflicts == (("14 days", "30 days"),)
    assert reasons(found) == ("the evidence says 30 days, not 14 days",)
    assert compare("They get 14 weeks.", "They get 30 days; parents take 14 weeks.").conflicts == ()


def test_what_the_question_says_is_not_looked_up() -> None:
    assert compare("Roth", "Helene Roth won.", asked="Who won the race of 1912 in Bonn?").n_numbers == 0


def test_names_are_found_by_any_of_their_words() -> None:
    found = compare("The prize went to Ada Lovelace of London.", "Lovelace took it.")
    assert found.n_names == 2
    assert found.missing_names == ("London",)


def test_the_first_word_of_a_sentence_is_no_name() -> None:
    assert names_of("Bridges were built. Then Helene Roth came.") == ("Helene Roth",)
    assert names_of("On March 1 the mill burned. In Weskott it rained.") == ("March", "Weskott")
    assert names_of("The On-Line Council met.") == ("On-Line Council",)


@pytest.mark.parametrize("text", ["It is not open.", "It isn't open.", "Nobody came.", "Das ist nicht offen."])
def test_negations(text: str) -> None:
    assert is_negated(text)
    assert compare("It is open.", text).negation_differs


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_compared(claim: str, evidence: str) -> None:
    found = compare(claim, evidence)
    assert len(found.missing_numbers) <= found.n_numbers
    assert compare(claim, claim).missing_numbers == ()
