"""Are cells of tables read and checked? `python benchmarks/table_cells.py --url http://127.0.0.1:8080` asks a service.

Five small tables, 62 questions for one cell each, asked with the table as evidence: how many answers hold the cell, how
many hold another one and are shown nevertheless, how many are withheld. And by `/v1/verify`, without a decoder: the
right cell, that of the next row, and that of the next column, each as the answer.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx


class _Table(NamedTuple):
    title: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]  # for each column but the first; {} is the first cell of the row


_TABLES = (
    _Table(
        "Rates",
        ("Country", "Daily allowance", "Hotel limit per night"),
        (
            ("Germany", "28 EUR", "140 EUR"),
            ("France", "32 EUR", "160 EUR"),
            ("Switzerland", "64 CHF", "210 CHF"),
            ("United Kingdom", "45 GBP", "180 GBP"),
            ("Japan", "6,500 JPY", "21,000 JPY"),
        ),
        ("What is the daily allowance in {}?", "What is the hotel limit per night in {}?"),
    ),
    _Table(
        "Team",
        ("Name", "Role", "Office", "Phone"),
        (
            ("Anna Berg", "Safety officer", "Freiburg", "4499"),
            ("Tom Reed", "Head of sales", "Leeds", "4120"),
            ("Lucia Costa", "Accountant", "Porto", "4307"),
            ("Kenji Mori", "Data analyst", "Osaka", "4555"),
        ),
        ("What is the role of {}?", "In which office does {} work?", "What is the phone number of {}?"),
    ),
    _Table(
        "Sensors",
        ("Model", "Range", "Weight", "Battery life"),
        (
            ("TX-1", "40 m", "120 g", "12 hours"),
            ("TX-2", "85 m", "160 g", "18 hours"),
            ("RX-9", "200 m", "310 g", "30 hours"),
            ("MX-4", "15 m", "75 g", "9 hours"),
        ),
        ("What is the range of the {}?", "How much does the {} weigh?", "How long does the battery of the {} last?"),
    ),
    _Table(
        "Courses",
        ("Course", "Lecturer", "Room", "Credits", "Day"),
        (
            ("Algebra", "Dr. Novak", "B12", "6", "Monday"),
            ("Optics", "Prof. Lind", "A03", "5", "Tuesday"),
            ("Rhetoric", "Dr. Amadi", "C21", "3", "Friday"),
            ("Genetics", "Prof. Okafor", "D07", "8", "Thursday"),
        ),
        ("Who teaches {}?", "In which room is {}?", "How many credits does {} give?", "On which day is {}?"),
    ),
    _Table(
        "Mountains",
        ("Mountain", "Height", "First ascent", "Country"),
        (
            ("Dom", "4,545 m", "1858", "Switzerland"),
            ("Ortler", "3,905 m", "1804", "Italy"),
            ("Grossglockner", "3,798 m", "1800", "Austria"),
            ("Zugspitze", "2,962 m", "1820", "Germany"),
        ),
        ("How high is the {}?", "When was the {} first climbed?", "In which country is the {}?"),
    ),
)


class _Case(NamedTuple):
    text: str  # of the table
    question: str
    right: str
    of_next_row: str
    of_next_column: str


def cases() -> Iterator[_Case]:
    """A question for each cell but those of the first columns."""
    for table in _TABLES:
        text = "\n".join([table.title, "", *(" | ".join(row) for row in (table.names, *table.rows))])
        for number, row in enumerate(table.rows):
            below = table.rows[(number + 1) % len(table.rows)]
            for column, question in enumerate(table.questions, start=1):
                beside = row[column % len(table.questions) + 1]
                yield _Case(text, question.format(row[0]), row[column], below[column], beside)


def main() -> None:
    """Ask, verify, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--key", help="an API key, where the service wants one")
    args = parser.parse_args()
    headers = {"Authorization": f"Bearer {args.key}"} if args.key else {}
    asked: Counter[str] = Counter()
    verified: dict[str, Counter[str]] = {"right": Counter(), "of_next_row": Counter(), "of_next_column": Counter()}
    with httpx.Client(base_url=args.url, headers=headers, timeout=120) as client:
        for case in cases():
            evidence = [{"id": "table", "text": case.text}]
            asked[_outcome(_post(client, "/v1/ask", question=case.question, evidence=evidence), case.right)] += 1
            for name, counts in verified.items():
                told = _post(client, "/v1/verify", question=case.question, text=getattr(case, name), evidence=evidence)
                counts[told["claims"][0]["verdict"]] += 1
    print(json.dumps({"asked": asked, "verified": verified}, indent=1))


def _post(client: httpx.Client, path: str, **body: Any) -> Any:
    reply = client.post(path, json=body)
    reply.raise_for_status()
    return reply.json()


def _outcome(answer: dict[str, Any], right: str) -> str:
    if answer["abstained"]:
        return "withheld"
    if right.casefold() not in answer["text"].casefold():
        return "another cell"
    return "right"


if __name__ == "__main__":
    main()
