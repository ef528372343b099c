import pytest

from rag.catalog.comparison_redact import Runs
from rag.catalog.comparisons import NewResult
from rag.catalog.jobs import COMPARISON, MAX_ATTEMPTS
from rag.errors import ConflictError, NotFoundError
from rag.types import Failure

REQUEST = {
    "cases": [
        {
            "case_id": "a",
            "question": "What is beta gamma delta epsilon zeta?",
            "reference_answers": ["delta"],
            "gold_passages": ["alpha beta gamma delta epsilon", "other words stand in this passage"],
            "drafted": True,
        },
        {"case_id": "b", "question": "?", "reference_answers": [], "gold_passages": [], "drafted": False},
    ],
    "systems": [
        {"name": "s", "answers": None},
        {"name": "x", "answers": [{"case_id": "a", "text": "so alpha beta gamma delta it is", "claims": None}]},
    ],
}


def create(bench, **changes):
    values = {"name": "n", "collection": "default", "request": REQUEST, "n_expected": 4, "now": bench.now}
    return bench.catalog.comparisons.create(**(values | changes))


def claim(bench, **more):
    job = bench.catalog.jobs.claim(bench.now, COMPARISON, **more)
    return None if job is None else (str(job.payload["comparison_id"]), job.job_id)


def line(case: int = 0, system: int = 0, kind: str = "result", sources=(), **payload) -> NewResult:
    values = {"case_id": "a", "system": "s", "text": "words", **payload}
    return NewResult(kind=kind, case_number=case, system_number=system, payload=values, document_ids=sources)


def append(bench, ids, *lines: NewResult, seconds_left: float | None = 1.0) -> bool:
    return bench.catalog.comparisons.append(*ids, lines, seconds_left=seconds_left, now=bench.now)


def test_from_the_queue_to_ready(bench) -> None:
    comparisons = bench.catalog.comparisons
    made = create(bench)
    assert (made.status, made.progress, made.manifest, made.figures) == ("queued", 0.0, None, None)
    ids = claim(bench)
    assert ids == (made.comparison_id, made.job_id) and claim(bench) is None
    assert comparisons.request(made.comparison_id) == REQUEST
    assert comparisons.begin(*ids, {"seed": 1}, bench.now) and comparisons.begin(*ids, {"seed": 2}, bench.now)
    assert append(bench, ids, line(1, 1), line(0, 1, "probe"), line(0, 1))
    stored = comparisons.get(made.comparison_id)
    assert (stored.status, stored.n_results, stored.progress, stored.seconds_left) == ("running", 2, 0.5, 1.0)
    assert stored.manifest == {"seed": 1}  # the settings of the first stretch hold for all
    assert append(bench, ids, line(0, 1, text="again"), line(0, 0), line(1, 0))
    assert comparisons.done(made.comparison_id) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert comparisons.get(made.comparison_id).progress == 0.99
    assert [row["text"] for row in comparisons.results(made.comparison_id)] == ["words", "again", "words", "words"]
    assert len(list(comparisons.results(made.comparison_id, "probe"))) == 1
    assert comparisons.finish(*ids, {"headline": "h"}, bench.now)
    stored = comparisons.get(made.comparison_id)
    assert (stored.status, stored.progress, stored.figures) == ("ready", 1.0, {"headline": "h"})
    job = bench.catalog.jobs.get(made.job_id)
    assert (job.kind, job.status, job.progress, job.document_id) == ("comparison", "done", 1.0, None)
    with pytest.raises(ConflictError):
        comparisons.cancel(made.comparison_id, bench.now)
    with pytest.raises(ConflictError):
        comparisons.resume(made.comparison_id, bench.now)


def test_documents_and_comparisons_wait_in_queues_of_their_own(bench) -> None:
    first, document, second = create(bench), bench.register("alpha"), create(bench)
    jobs = bench.catalog.jobs
    assert (jobs.n_queued(), jobs.n_queued("ingest"), jobs.n_queued(COMPARISON)) == (3, 1, 2)
    assert jobs.claim(bench.now).job_id == document.job_id and jobs.claim(bench.now) is None
    assert claim(bench, first=second.job_id) == (second.comparison_id, second.job_id)
    assert claim(bench, without=[first.job_id]) is None
    assert claim(bench, first="job_gone") == (first.comparison_id, first.job_id)


def test_results_come_in_order_however_many(bench) -> None:
    made = create(bench, n_expected=1000)
    ids = claim(bench)
    numbers = [(case, system) for case in range(250) for system in range(2)]
    assert append(bench, ids, *(line(case, system, text=f"{case}.{system}") for case, system in reversed(numbers)))
    found = [row["text"] for row in bench.catalog.comparisons.results(made.comparison_id)]
    assert found == [f"{case}.{system}" for case, system in numbers]


def test_what_nobody_wants_is_not_written(bench) -> None:
    comparisons = bench.catalog.comparisons
    made = create(bench)
    ids = claim(bench)
    assert append(bench, ids, line(0, 0))
    assert comparisons.cancel(made.comparison_id, bench.now).status == "cancelled"
    assert not append(bench, ids, line(0, 1)) and not comparisons.finish(*ids, {}, bench.now)
    assert not comparisons.fail(*ids, Failure(code="x", message="y"), bench.now)
    assert bench.catalog.jobs.get(made.job_id).status == "cancelled"
    resumed = comparisons.resume(made.comparison_id, bench.now)
    assert resumed.status == "queued" and resumed.job_id != made.job_id
    assert not append(bench, ids, line(0, 1))  # the old worker's job is over
    ids = claim(bench)
    assert append(bench, ids, line(0, 1)) and comparisons.get(made.comparison_id).n_results == 2
    assert comparisons.resume(made.comparison_id, bench.now).job_id == ids[1]  # it is at work: nothing changes
    assert comparisons.fail(*ids, Failure(code="x", message="y"), bench.now)
    assert comparisons.get(made.comparison_id).error == Failure(code="x", message="y")
    assert comparisons.resume(made.comparison_id, bench.now).error is None
    assert comparisons.delete(made.comparison_id, bench.now) == 2
    assert claim(bench) is None and comparisons.list() == ((), 0)
    for call in (comparisons.get, comparisons.request):
        with pytest.raises(NotFoundError):
            call(made.comparison_id)
    with pytest.raises(NotFoundError):
        comparisons.delete(made.comparison_id, bench.now)
    assert list(comparisons.results(made.comparison_id)) == []


def test_only_deaths_in_one_place_give_a_comparison_up(bench) -> None:
    made = create(bench)
    comparisons, jobs = bench.catalog.comparisons, bench.catalog.jobs
    for case in range(MAX_ATTEMPTS + 1):  # it dies, but moves on
        ids = claim(bench)
        assert comparisons.begin(*ids, {}, bench.now) and append(bench, ids, line(case, 0))
        assert jobs.recover(bench.now).requeued == (made.job_id,)
        assert comparisons.get(made.comparison_id).status == "queued"
    for _ in range(MAX_ATTEMPTS - 1):
        ids = claim(bench)
        assert comparisons.begin(*ids, {}, bench.now)
        jobs.recover(bench.now)
    stored = comparisons.get(made.comparison_id)
    assert (stored.status, stored.error.code, stored.n_results) == ("failed", "crashed", MAX_ATTEMPTS + 1)
    comparisons.resume(made.comparison_id, bench.now)
    assert claim(bench) is not None


def test_an_orderly_stop_queues_it_again(bench) -> None:
    made = create(bench)
    for _ in range(MAX_ATTEMPTS + 1):
        ids = claim(bench)
        bench.catalog.comparisons.begin(*ids, {}, bench.now)
        bench.catalog.jobs.release(ids[1], bench.now)
        assert bench.catalog.comparisons.get(made.comparison_id).status == "queued"


def result_of(document_id: str) -> dict[str, object]:
    quote = {"text": "alpha beta", "document_id": document_id, "document_name": "a.txt", "passage_id": 1}
    gold = {"text": "alpha beta gamma delta", "document_id": None, "document_name": None, "passage_id": None}
    mine = {"text": "kept words", "document_id": "doc_other", "document_name": "b.txt", "passage_id": 9}
    return {
        "case_id": "a",
        "system": "s",
        "text": "It is alpha [1].",
        "outcome": "correct",
        "claims": [
            {"text": "It is alpha", "verdict": "supported", "quote": quote, "reasons": ["r"]},
            {"text": "From gold", "verdict": "supported", "quote": gold, "reasons": []},
            {"text": "Something else", "verdict": "supported", "quote": mine, "reasons": ["r"]},
        ],
        "citations": [{"marker": 1, "quote": quote}, {"marker": 2, "quote": mine}],
    }


def test_a_deletion_takes_the_words_of_a_document_out_of_every_comparison(bench) -> None:
    comparisons = bench.catalog.comparisons
    document = bench.ready("alpha beta gamma delta epsilon zeta")
    made, untouched = create(bench), create(bench, collection="other", request={"cases": [], "systems": []})
    ids = claim(bench)
    sources = (document.document_id,)
    probe = {"cause": "not_retrieved", "oracle": {"text": "say beta gamma delta epsilon", "outcome": "wrong"}}
    append(
        bench,
        ids,
        NewResult(
            kind="result",
            case_number=0,
            system_number=0,
            payload=result_of(document.document_id),
            document_ids=sources,
        ),
        line(0, 1, sources=sources, text="closed book knows alpha beta gamma delta as well"),
        line(0, 0, "probe", sources, **probe),
        line(1, 0, text="not of it"),
    )
    before = comparisons.get(made.comparison_id)
    bench.catalog.documents.delete(document.document_id, bench.now)
    cited, closed, other = comparisons.results(made.comparison_id)
    assert (cited["text"], cited["redacted"], cited["outcome"]) == (None, True, "correct")
    first, gold, mine = cited["claims"]
    assert (first["text"], first["quote"]["text"], first["quote"]["document_name"]) == (None, None, None)
    assert (first["verdict"], first["quote"]["document_id"], first["reasons"]) == (
        "supported",
        document.document_id,
        [],
    )
    assert gold["quote"]["text"] is None and mine["text"] == "Something else" and mine["quote"]["text"] == "kept words"
    assert [one["quote"]["text"] for one in cited["citations"]] == [None, "kept words"]
    assert (closed["text"], closed["redacted"]) == (None, True)
    assert other["text"] == "not of it" and "redacted" not in other
    (probed,) = comparisons.results(made.comparison_id, "probe")
    assert (probed["oracle"], probed["cause"]) == ({"text": None, "outcome": "wrong"}, "not_retrieved")
    request = comparisons.request(made.comparison_id)
    assert request["cases"][0]["gold_passages"] == ["other words stand in this passage"]
    assert "gamma" not in request["cases"][0]["question"] and request["cases"][0]["reference_answers"] == ["delta"]
    assert request["cases"][1] == REQUEST["cases"][1]
    assert request["systems"] == [REQUEST["systems"][0], {"name": "x", "answers": []}]
    after = comparisons.get(made.comparison_id)
    assert after.redacted and after.updated_at > before.updated_at
    assert not comparisons.get(untouched.comparison_id).redacted
    raw = (bench.catalog.files.root / "catalog.sqlite3") if bench.catalog.database.is_sqlite else None
    if raw is not None:
        assert b"beta gamma" not in raw.read_bytes()


def test_what_is_written_after_the_deletion_says_nothing_of_the_document(bench) -> None:
    document = bench.ready("alpha beta gamma delta epsilon zeta")
    made = create(bench)
    ids = claim(bench)
    bench.catalog.documents.delete(document.document_id, bench.now)
    sources = (document.document_id, "never_here")
    append(bench, ids, line(0, 0, sources=sources, text="any word may be of it"), line(1, 0, text="no source"))
    late, free = bench.catalog.comparisons.results(made.comparison_id)
    assert (late["text"], late["redacted"], free["text"]) == (None, True, "no source")
    assert bench.catalog.comparisons.get(made.comparison_id).redacted


def test_runs_of_four_words_tell_a_repetition() -> None:
    runs = Runs(["One, two three: FOUR five.", "six seven"])
    assert runs.repeats("so two three four five") and runs.repeats("ONE two\nthree four")
    assert not runs.repeats("two three four") and not runs.repeats("five six seven eight") and not runs.repeats("")
    assert not Runs([]).repeats("one two three four")
