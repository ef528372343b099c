import threading

import pytest

from rag.catalog.jobs import MAX_ATTEMPTS
from rag.errors import NotFoundError
from rag.types import Failure


def test_jobs_come_oldest_first_and_once(bench) -> None:
    ids = [bench.register(f"text {number}").job_id for number in range(3)]
    jobs = bench.catalog.jobs
    claimed = [jobs.claim(bench.now) for _ in range(3)]
    assert [job.job_id for job in claimed] == ids
    assert [(job.kind, job.version, job.attempts) for job in claimed] == [("ingest", 1, 1)] * 3
    assert jobs.claim(bench.now) is None
    assert jobs.get(ids[0]).status == "running"
    assert not jobs.cancelled(ids[0]) and jobs.cancelled("job_none")


def test_no_two_workers_get_the_same_job(bench) -> None:
    for number in range(12):
        bench.register(f"text {number}")
    claimed: list[str] = []

    def work() -> None:
        while (job := bench.catalog.jobs.claim(bench.now)) is not None:
            claimed.append(job.job_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 12


def test_a_job_ends_with_its_document(bench) -> None:
    registration = bench.register("alpha")
    bench.publish("alpha")
    job = bench.catalog.jobs.get(registration.job_id)
    assert (job.status, job.progress, job.error) == ("done", 1.0, None)
    assert job.document_id == registration.document.document_id and job.updated_at > job.created_at


def test_interrupted_work_is_queued_again_and_given_up_after_three_deaths(bench) -> None:
    registration = bench.register("poison")
    other = bench.register("waits")
    jobs, documents = bench.catalog.jobs, bench.catalog.documents
    document_id = registration.document.document_id
    for attempt in range(1, MAX_ATTEMPTS):
        assert jobs.claim(bench.now).attempts == attempt
        documents.set_status(document_id, "parsing", 0.5, bench.now)
        recovered = jobs.recover(bench.now)
        assert (recovered.requeued, recovered.failed) == ((registration.job_id,), ())
        document = documents.get(document_id)
        assert (document.status, document.progress) == ("queued", 0.0)
    assert jobs.claim(bench.now).job_id == registration.job_id
    recovered = jobs.recover(bench.now)
    assert (recovered.requeued, recovered.failed) == ((), (document_id,))
    document = documents.get(document_id)
    assert document.status == "failed" and document.error.code == "parser_crashed"
    view = jobs.get(registration.job_id)
    assert view.status == "failed" and view.error.code == "parser_crashed"
    assert jobs.claim(bench.now).job_id == other.job_id
    # a retry begins to count again
    jobs.recover(bench.now)
    retried = documents.retry(document_id, bench.now)
    assert {jobs.claim(bench.now).job_id, jobs.claim(bench.now).job_id} == {other.job_id, retried.job_id}
    assert jobs.get(retried.job_id).status == "running"


def test_an_orderly_stop_does_not_count(bench) -> None:
    registration = bench.register("alpha")
    jobs = bench.catalog.jobs
    for _ in range(MAX_ATTEMPTS + 2):
        job = jobs.claim(bench.now)
        assert job.attempts == 1
        bench.catalog.documents.set_status(job.document_id, "embedding", 0.5, bench.now)
        jobs.release(job.job_id, bench.now)
        assert bench.catalog.documents.get(job.document_id).status == "queued"
    jobs.release(registration.job_id, bench.now)  # not running: nothing happens
    assert jobs.claim(bench.now).attempts == 1


def test_cancelled_work_stays_cancelled_over_a_restart(bench) -> None:
    registration = bench.register("alpha")
    bench.catalog.jobs.claim(bench.now)
    bench.catalog.documents.cancel(registration.document.document_id, bench.now)
    recovered = bench.catalog.jobs.recover(bench.now)
    assert recovered.requeued == recovered.failed == ()
    assert bench.catalog.jobs.claim(bench.now) is None
    assert bench.catalog.jobs.get(registration.job_id).status == "cancelled"


def test_a_job_outlives_its_document_without_its_words(bench) -> None:
    registration = bench.register("alpha")
    job = bench.catalog.jobs.claim(bench.now)
    failure = Failure(code="corrupt", message="the word canary cannot be read; send another file")
    bench.catalog.documents.fail(job.job_id, job.document_id, failure, None, bench.now)
    assert bench.catalog.jobs.get(registration.job_id).error == failure
    bench.catalog.documents.delete(job.document_id, bench.now)
    view = bench.catalog.jobs.get(registration.job_id)
    assert view.error is None and view.document_id == job.document_id
    with pytest.raises(NotFoundError):
        bench.catalog.jobs.get("job_none")
    assert bench.catalog.jobs.n_queued() == 0
