"""Tables for training, and questions about them."""

import random

from rag.made_tables import MadeTable, made_table


def rows_of(table: MadeTable) -> list[list[str]]:
    lines = table.paragraph.text.rpartition("\n\n")[2].split("\n")
    return [line.split(" | ") for line in lines]


def test_an_answer_is_the_cell_in_the_row_that_the_question_names() -> None:
    for seed in range(200):
        table = made_table(random.Random(seed))
        header, *rows = rows_of(table)
        assert all(len(row) == len(header) for row in rows)
        for asked in table.paragraph.questions:
            if asked.question.startswith("Which ") and " has " in asked.question:
                (row,) = [row for row in rows if row[0] == asked.answer]
                assert any(f" has {cell} as " in asked.question for cell in row[1:])
            else:
                named = max((row for row in rows if row[0] in asked.question), key=lambda row: len(row[0]))
                assert asked.answer in named[1:]


def test_what_is_unanswered_asks_for_a_row_or_a_column_that_is_not_there() -> None:
    n_columns = n_rows = 0
    for seed in range(200):
        table = made_table(random.Random(seed))
        names = {row[0] for row in rows_of(table)[1:]}
        asked = {one.question for one in table.paragraph.questions}
        assert table.unanswered
        assert asked.isdisjoint(table.unanswered)
        n_columns += sum(any(name in question for name in names) for question in table.unanswered)
        n_rows += sum(not any(name in question for name in names) for question in table.unanswered)
    assert n_columns > 200
    assert n_rows > 200


def test_the_same_state_makes_the_same_table() -> None:
    assert made_table(random.Random(4)) == made_table(random.Random(4))
    assert made_table(random.Random(4)) != made_table(random.Random(5))
