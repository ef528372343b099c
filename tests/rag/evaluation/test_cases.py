import json
from pathlib import Path

import pytest

from rag.errors import InvalidInputError
from rag.evaluation.cases import read_answers, read_cases
from rag.evaluation.records import case_line
from rag.evaluation.types import Case, ExternalAnswer, LabelledClaim


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_a_case_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    file = write(
        tmp_path / "cases.jsonl",
        {
            "id": "1",
            "question": "Who wrote it?",
            "reference_answers": ["Ann", "Ann", " Ann Lee "],
            "answerable": True,
            "document": "a.md",
            "gold_passage": "Ann Lee wrote it.",
        },
        {"id": "2", "question": "Why?", "answerable": False, "reference_answers": [], "document": None},
        {"id": "3", "question": "How?", "gold_passages": ["one", "two"], "slices": {"topic": "leave"}, "drafted": True},
    )
    assert read_cases(file) == (
        Case(
            case_id="1",
            question="Who wrote it?",
            reference_answers=("Ann", "Ann Lee"),
            document="a.md",
            gold_passages=("Ann Lee wrote it.",),
        ),
        Case(case_id="2", question="Why?", answerable=False),
        Case(case_id="3", question="How?", gold_passages=("one", "two"), slices={"topic": "leave"}, drafted=True),
    )


def test_the_cases_of_a_stored_run_can_be_asked_again(tmp_path: Path) -> None:
    asked = write(
        tmp_path / "mine.jsonl", {"id": "1", "question": "Who?", "gold_passages": ["one"], "document": "a.md"}
    )
    stored = tmp_path / "cases.jsonl"
    stored.write_text("".join(f"{case_line(case)}\n" for case in read_cases(asked)))
    assert read_cases(stored) == read_cases(asked)


def test_csv_says_the_same_as_jsonl(tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(
        "id,question,reference_answers,answerable,document,gold_passages,slice.topic\n"
        '1,"Who, and\nwhen?",Ann | Ann Lee,,a.md,"A passage | with a bar.",leave\n'
        '2,Why?,,false,,"[""one"", ""two""]",\n',
        encoding="utf-8-sig",
    )
    assert read_cases(table) == (
        Case(
            case_id="1",
            question="Who, and\nwhen?",
            reference_answers=("Ann", "Ann Lee"),
            document="a.md",
            gold_passages=("A passage | with a bar.",),
            slices={"topic": "leave"},
        ),
        Case(case_id="2", question="Why?", answerable=False, gold_passages=("one", "two")),
    )


GOOD = {"id": "1", "question": "Who?"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (GOOD, "line 2: id '1' was used before (cases.jsonl line 1); give every case an id of its own"),
        ({"id": "2"}, "line 2: question must be a text that is not empty"),
        ({"id": "2", "question": "  "}, "line 2: question must be"),
        ({"id": 2, "question": "Who?"}, "line 2: id must be a text"),
        ([], "line 2: not an object"),
        ({**GOOD, "id": "2", "answerable": "no"}, "line 2: answerable must be true or false"),
        ({**GOOD, "id": "2", "reference_answers": "Ann"}, "line 2: reference_answers must be a list of texts"),
        ({**GOOD, "id": "2", "references": ["Ann"]}, "line 2: field 'references' is not known; the fields are id,"),
        ({**GOOD, "id": "2", "gold_passage": "a", "gold_passages": ["b"]}, "line 2: give gold_passage or"),
        ({**GOOD, "id": "2", "answerable": False, "reference_answers": ["Ann"]}, "line 2: an unanswerable case has"),
        ({**GOOD, "id": "2", "slices": {"n": 1}}, "line 2: slices must be an object of texts"),
        ({**GOOD, "id": "2", "document": 7}, "line 2: document must be a text or null"),
    ],
)
def test_an_error_names_the_line_and_what_is_right(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_cases(write(tmp_path / "cases.jsonl", GOOD, row))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cases.jsonl: there are no cases in it"),
        (b"\n\n", "cases.jsonl: there are no cases in it"),
        (b'{"id": "1", "question": "\xff"}', "line 1: not UTF-8"),
        (b'{"id": "1"\n', "line 1: not JSON"),
        (b'{"id": "1", "question": NaN}\n', "line 1: not JSON"),
        (b"[" * 100_000, "line 1: not JSON"),
    ],
)
def test_what_is_no_case_file_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(data)
    with pytest.raises(InvalidInputError, match=said):
        read_cases(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,question\n1\n", "line 2: it has another number of cells"),
        ("id,question\n1,a,b\n", "line 2: it has another number of cells"),
        ("id,question,answerable\n1,Who?,perhaps\n", "line 2: answerable must be true or false"),
        ('id,question,reference_answers\n1,Who?,"[1"\n', "line 2: reference_answers opens with"),
        ('id,question\n1,"Who?\n', "not CSV"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "cases.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=said):
        read_cases(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"cases\.jsonl cannot be read"):
        read_cases(tmp_path / "cases.jsonl")


def test_five_thousand_cases_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "cases.jsonl", *({"id": str(n), "question": f"Number {n}?"} for n in range(5000)))
    assert [case.case_id for case in read_cases(file)] == [str(n) for n in range(5000)]


def test_answers_made_elsewhere_carry_labels(tmp_path: Path) -> None:
    cases = (Case(case_id="1", question="Who?"), Case(case_id="2", question="Why?"), Case(case_id="3", question="How?"))
    file = write(
        tmp_path / "answers.jsonl",
        {"id": "2", "text": "", "label": None},
        {
            "id": "1",
            "text": "Ann.",
            "label": "correct",
            "claims": [{"text": "Ann.", "label": "supported"}, {"text": "Ann", "label": None}],
            "confidence": 1,
        },
    )
    assert read_answers(file, cases) == (
        ExternalAnswer(case_id="2", text=""),
        ExternalAnswer(
            case_id="1",
            text="Ann.",
            label="correct",
            claims=(LabelledClaim(text="Ann.", label="supported"), LabelledClaim(text="Ann")),
            confidence=1.0,
        ),
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "9", "text": "a"}, "line 2: no case has the id '9'"),
        ({"id": "1", "text": "a"}, "line 2: id '1' was answered before"),
        ({"id": "2"}, "line 2: text must be a text"),
        ({"id": "2", "text": "a", "label": "right"}, "line 2: label must be correct, wrong, abstained or null"),
        ({"id": "2", "text": "a", "claims": [{"text": "a", "label": "true"}]}, "line 2: label must be supported,"),
        ({"id": "2", "text": "a", "claims": ["a"]}, "line 2: claims must be a list"),
        ({"id": "2", "text": "a", "confidence": 2}, "line 2: confidence must be a number from 0 to 1"),
        ({"id": "2", "text": "a", "confidence": True}, "line 2: confidence must be a number from 0 to 1"),
    ],
)
def test_a_wrong_answer_line_is_named(tmp_path: Path, row: object, said: str) -> None:
    cases = (Case(case_id="1", question="Who?"), Case(case_id="2", question="Why?"))
    with pytest.raises(InvalidInputError) as caught:
        read_answers(write(tmp_path / "answers.jsonl", {"id": "1", "text": "a"}, row), cases)
    assert said in str(caught.value)


def test_a_system_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there are no answers in it"):
        read_answers(write(tmp_path / "answers.jsonl"), (Case(case_id="1", question="Who?"),))
