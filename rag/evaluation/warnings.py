"""What a reader should know before believing a report."""

from collections.abc import Iterator

from rag.evaluation.report_types import Report

FEW_DOCUMENTS = 20  # below this a bootstrap over documents is known to give intervals that are too narrow


def warnings_of(report: Report) -> tuple[str, ...]:
    """Sentences for people, the gravest first."""
    return tuple(_warnings(report))


def _warnings(report: Report) -> Iterator[str]:
    cases = report.cases
    if not report.complete:
        yield f"The run is not complete: {report.n_missing} answers are missing and count as undefined."
    for system in report.systems:
        if system.outcomes["failed"]:
            yield f"{system.name} failed on {system.outcomes['failed']} of {cases.n} cases; they count as undefined."
    if not report.judge.decidable:
        yield report.judge.sentence
    if cases.n_documents < 2:
        yield "All cases are about one document: there are no intervals, and the figures hold for that document."
    elif cases.n_documents < FEW_DOCUMENTS:
        yield f"The cases are about {cases.n_documents} documents only; the intervals may be too narrow."
    if cases.n_answerable > cases.n_with_references:
        n = cases.n_answerable - cases.n_with_references
        yield f"{n} answerable cases have no reference answer: correctness is undefined where no person judged."
    if cases.n_drafted:
        yield f"{cases.n_drafted} cases were drafted by machine and not edited: they ask what is easy to find."
    if report.systems and report.systems[0].abstention.refused:
        yield f"Abstention is not scored: {report.systems[0].abstention.refused}."
    for comparison in report.comparisons:
        if comparison.mcnemar.n < cases.n_answerable:
            n = cases.n_answerable - comparison.mcnemar.n
            pair = f"{comparison.baseline} → {comparison.system}"
            yield f"{n} answerable cases are left out of {pair}: an outcome is unknown."
