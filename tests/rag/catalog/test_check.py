import pytest
from sqlalchemy import text

from rag.catalog.check import check_catalog


def test_a_catalog_in_order_has_no_problems(bench) -> None:
    document = bench.ready("alpha beta gamma")
    bench.replace(document.document_id, "two")
    bench.register("waits")
    check = check_catalog(bench.catalog)
    assert check.problems == ()
    assert (check.n_documents, check.n_versions, check.n_files) == (2, 3, 3)
    assert check.n_passages == check.n_vectors == 2


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE passages SET text = 'other' WHERE passage_id = 1", "passage 1 is not the text at its offsets"),
        ("UPDATE documents SET live_version = 9", "cannot be searched"),
        ("DELETE FROM passages WHERE passage_id = 1", "says 2 passages and has 1"),
        ("DELETE FROM passages", "cannot be searched"),
    ],
)
def test_rows_that_disagree_are_told(bench, statement: str, problem: str) -> None:
    bench.ready("alpha beta gamma")
    with bench.catalog.database.write() as session:
        session.execute(text(statement))
    problems = check_catalog(bench.catalog).problems
    assert any(problem in found for found in problems), problems
    assert not any("alpha" in found for found in problems)


def test_a_vector_of_another_length_is_told(bench) -> None:
    bench.ready("alpha beta gamma")
    with bench.catalog.database.write() as session:
        session.execute(text("UPDATE passages SET vector = :v WHERE passage_id = 1"), {"v": b"1234"})
    assert check_catalog(bench.catalog).problems == ("the vectors have 2 different lengths",)


@pytest.mark.parametrize(
    ("case", "problem"), [("missing", "is missing"), ("changed", "has changed"), ("orphan", "no row names")]
)
def test_files_that_disagree_are_told(bench, case: str, problem: str) -> None:
    document = bench.ready("alpha beta gamma")
    path = bench.catalog.files.path(document.document_id, 1)
    if case == "missing":
        path.unlink()
    elif case == "changed":
        path.write_bytes(b"ALPHA beta gamma")
    else:
        bench.catalog.files.publish(bench.stage("x"), document.document_id, 2)
    problems = check_catalog(bench.catalog).problems
    assert len(problems) == 1 and problem in problems[0]
