"""Cases and answers made elsewhere, as people write them: JSONL or CSV, checked line by line.

A JSONL case has the fields of the contract (`id`, `question`, `reference_answers`, `answerable`, `document`,
`gold_passages` or `gold_passage` for one) and may have `slices`, an object of texts, and `drafted`. A CSV file has
columns of the same names; several references or passages stand in one cell as a JSON list, references also as
`one | other`; a column `slice.NAME` is a slice. Every error names the file and the line.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import InvalidInputError
from rag.evaluation.types import AnswerLabel, Case, ExternalAnswer, LabelledClaim
from rag.normalize import normalize
from rag.types import VerdictLabel

_L = TypeVar("_L")
_CASE_FIELDS = (
    "id",
    "question",
    "reference_answers",
    "answerable",
    "document",
    "gold_passages",
    "gold_passage",
    "slices",
    "drafted",
)
_ANSWER_FIELDS = ("id", "text", "label", "claims", "confidence")
_ANSWER_LABELS: Mapping[str, AnswerLabel] = {"correct": "correct", "wrong": "wrong", "abstained": "abstained"}
_CLAIM_LABELS: Mapping[str, VerdictLabel] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "unsupported": "unsupported",
}
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a `.csv` file, or of a file of JSON lines under any other name, in order.

    Raises:
        InvalidInputError: the file cannot be read, is empty, or a line of it is wrong; names the line.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    cases: list[Case] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        case = case_from(row, place)
        if case.case_id in seen:
            raise InvalidInputError(
                f"{place}: id {case.case_id!r} was used before ({seen[case.case_id]}); give every case an id of its own"
            )
        seen[case.case_id] = place
        cases.append(case)
    if not cases:
        raise InvalidInputError(f"{path.name}: there are no cases in it; write one JSON object a line")
    return tuple(cases)


def read_answers(path: Path, cases: Sequence[Case]) -> tuple[ExternalAnswer, ...]:
    """Answers made elsewhere to `cases`, from JSON lines `{"id", "text", "label", "claims": [{"text", "label"}]}`.

    Cases that are not answered in the file are left out of it.

    Raises:
        InvalidInputError: the file cannot be read, is empty, a line is wrong, or names no case; names the line.
    """
    known = {case.case_id for case in cases}
    answers: dict[str, ExternalAnswer] = {}
    for place, row in _json_rows(path):
        answer = answer_from(row, place)
        if answer.case_id not in known:
            raise InvalidInputError(f"{place}: no case has the id {answer.case_id!r}; take the ids of the case file")
        if answer.case_id in answers:
            raise InvalidInputError(f"{place}: id {answer.case_id!r} was answered before; keep one answer a case")
        answers[answer.case_id] = answer
    if not answers:
        raise InvalidInputError(f"{path.name}: there are no answers in it; write one JSON object a line")
    return tuple(answers.values())


def case_from(row: Mapping[str, Any], place: str) -> Case:
    """One case from its fields; `place` ("cases.jsonl line 7") opens every error.

    Raises:
        InvalidInputError: a field is missing, unknown, of the wrong type, or contradicts another.
    """
    if "case_id" in row and "id" not in row:  # so the cases of a stored run have it
        row = {("id" if name == "case_id" else name): value for name, value in row.items()}
    _known(row, _CASE_FIELDS, place)
    if "gold_passage" in row and row.get("gold_passages"):
        raise InvalidInputError(f"{place}: give gold_passage or gold_passages, not both")
    single = row.get("gold_passage")
    passages = row.get("gold_passages") if single is None else [single]
    answerable = row.get("answerable", True)
    drafted = row.get("drafted", False)
    for name, flag in (("answerable", answerable), ("drafted", drafted)):
        if not isinstance(flag, bool):
            raise InvalidInputError(f"{place}: {name} must be true or false")
    references = _texts(row.get("reference_answers"), "reference_answers", place)
    if references and not answerable:
        raise InvalidInputError(f"{place}: an unanswerable case has no reference_answers; remove them")
    document = row.get("document")
    if document is not None and not isinstance(document, str):
        raise InvalidInputError(f"{place}: document must be a text or null")
    slices = row.get("slices") or {}
    if not isinstance(slices, dict) or not all(isinstance(value, str) for value in slices.values()):
        raise InvalidInputError(f'{place}: slices must be an object of texts, such as {{"topic": "leave"}}')
    return Case(
        case_id=_text(row, "id", place),
        question=_text(row, "question", place),
        reference_answers=references,
        answerable=answerable,
        document=normalize(document, keep_spaces=True) if document else None,
        gold_passages=_texts(passages, "gold_passages", place),
        slices={str(name): value for name, value in sorted(slices.items())},
        drafted=drafted,
    )


def answer_from(row: Mapping[str, Any], place: str) -> ExternalAnswer:
    """One answer made elsewhere from its fields.

    Raises:
        InvalidInputError: a field is missing, unknown or of the wrong type.
    """
    _known(row, _ANSWER_FIELDS, place)
    text = row.get("text")
    if not isinstance(text, str):
        raise InvalidInputError(f'{place}: text must be a text; "" says that the system abstained')
    confidence = row.get("confidence")
    if confidence is not None and (
        isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1
    ):
        raise InvalidInputError(f"{place}: confidence must be a number from 0 to 1, or null")
    return ExternalAnswer(
        case_id=_text(row, "id", place),
        text=normalize(text, keep_spaces=True),
        label=_label(row.get("label"), _ANSWER_LABELS, place),
        claims=_claims(row.get("claims"), place),
        confidence=None if confidence is None else float(confidence),
    )


def _claims(value: object, place: str) -> tuple[LabelledClaim, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(claim, dict) for claim in value):
        raise InvalidInputError(f'{place}: claims must be a list of {{"text", "label"}} objects')
    claims = []
    for claim in value:
        _known(claim, ("text", "label"), place)
        claims.append(
            LabelledClaim(text=_text(claim, "text", place), label=_label(claim.get("label"), _CLAIM_LABELS, place))
        )
    return tuple(claims)


def _label(value: object, allowed: Mapping[str, _L], place: str) -> _L | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInputError(f"{place}: label must be {', '.join(allowed)} or null")
    return allowed[value]


def _known(row: Mapping[str, Any], allowed: Sequence[str], place: str) -> None:
    unknown = sorted(str(name) for name in row if name not in allowed)
    if unknown:
        raise InvalidInputError(f"{place}: field {unknown[0]!r} is not known; the fields are {', '.join(allowed)}")


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    text = normalize(value, keep_spaces=True).strip() if isinstance(value, str) else ""
    if not text:
        raise InvalidInputError(f"{place}: {name} must be a text that is not empty")
    return text


def _texts(value: object, name: str, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidInputError(f"{place}: {name} must be a list of texts")
    texts = (normalize(text, keep_spaces=True).strip() for text in value)
    return tuple(dict.fromkeys(text for text in texts if text))


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path.name} line {number}"
        try:
            row = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise InvalidInputError(f"{place}: not JSON; write one object a line") from None
        if not isinstance(row, dict):
            raise InvalidInputError(f"{place}: not an object; write one object a line")
        yield place, row


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_read(path), newline=""), strict=True)
    try:
        for cells in reader:
            place = f"{path.name} line {reader.line_num}"
            if None in cells or None in cells.values():
                raise InvalidInputError(f"{place}: it has another number of cells than the first line has columns")
            yield place, _from_cells(cells, place)
    except csv.Error as error:
        raise InvalidInputError(f"{path.name} line {reader.line_num}: not CSV: {error}") from None


def _from_cells(cells: Mapping[str, str], place: str) -> dict[str, Any]:
    row: dict[str, Any] = {}
    slices: dict[str, str] = {}
    for name, cell in cells.items():
        value = cell.strip()
        if name.startswith("slice."):
            if value:
                slices[name.removeprefix("slice.")] = value
        elif not value:
            continue  # an empty cell is a field that was left out
        elif name in ("answerable", "drafted"):
            if value.lower() not in (*_TRUE, *_FALSE):
                raise InvalidInputError(f"{place}: {name} must be true or false")
            row[name] = value.lower() in _TRUE
        elif name in ("reference_answers", "gold_passages"):
            row[name] = _cell_list(value, name, place)
        else:
            row[name] = value
    return {**row, "slices": slices} if slices else row


def _cell_list(value: str, name: str, place: str) -> list[Any]:
    if value.startswith("["):
        try:
            parsed = json.loads(value)
        except ValueError:
            raise InvalidInputError(
                f'{place}: {name} opens with [ but is no JSON list, such as ["one", "two"]'
            ) from None
        return list(parsed)
    return value.split(" | ") if name == "reference_answers" else [value]


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path.name} cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(f"{path.name} line {line}: not UTF-8; save the file as UTF-8") from None
