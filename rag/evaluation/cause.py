"""Why a grounded answer is wrong or says what nothing supports: traced by searching again and by reruns.

Read as a fall from the corpus to the answer, the first step that fails is the cause: the corpus does not hold the
answer; it does, but was not retrieved at k; it was retrieved, but the budget cut it; it stood in the prompt, and the
model said what it says without documents; or it stood there and was not read.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.answer_types import Search
from rag.evaluation.scoring import contains_reference, normalize_answer, token_f1
from rag.evaluation.types import Case, CaseResult, Cause, Figure, Outcome, RunRecord, System, SystemMode
from rag.text import content_words
from rag.types import Passage

DEEP_K = 100  # passages of the collection that may hold the answer
_GOLD_SHARE = 0.5  # of the content words of the shorter of passage and gold passage that the other must hold
_SAME_ANSWER_F1 = 0.8  # two answers that share so many words say the same
_MAX_QUERY_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """The same question under other conditions."""

    text: str | None  # None once redacted, or where it failed
    abstained: bool
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What reruns of one case told about one grounded system: one line of `probes.jsonl`."""

    case_id: str
    system: str
    cause: Cause | None = None  # None: nothing to explain, or no reference to look for
    holder_ids: tuple[int, ...] = ()  # passages of the corpus that hold the answer
    closed_book: Rerun | None = None
    oracle: Rerun | None = None
    swapped: "Swapped | None" = None
    redacted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """The same question over evidence in which another case's answer stands in place of the right one."""

    text: str | None
    reference: str  # that stood in the evidence
    stand_in: str  # that was put there
    obeyed: str  # "evidence", "memory", "flagged", "abstained" or "other"; see `rag.evaluation.obedience`


def needs_cause(result: CaseResult) -> bool:
    """Whether an answer is wrong or hallucinated, so that its cause is of interest."""
    return result.failure is None and (
        result.outcome in ("wrong", "false_confidence") or (result.answered and result.hallucinates is True)
    )


def find_holders(case: Case, search: Search, collection: str) -> tuple[Passage, ...]:
    """The passages of the collection that hold the answer to a case, among the best for its gold passages.

    A passage holds it when a reference stands in it word for word and, where the case has gold passages, it is a part
    of one or has one as its part: half of the content words of the shorter are in the other. Without references the
    part alone counts, without gold passages the reference alone, in the best passages for question and reference.
    """
    queries = case.gold_passages or tuple(f"{case.question}\n{reference}" for reference in case.reference_answers)
    gold_words = [frozenset(content_words(text)) for text in case.gold_passages]
    holders: dict[int, Passage] = {}
    for query in queries:
        found = search.search(query[:_MAX_QUERY_CHARS], k=DEEP_K, collection=collection, metadata_filter=None)
        for hit in found.hits:
            if _holds(hit.passage, case, gold_words):
                holders[hit.passage.passage_id] = hit.passage
    return tuple(holders.values())


def _holds(passage: Passage, case: Case, gold_words: Sequence[frozenset[str]]) -> bool:
    if case.reference_answers and not contains_reference(passage.text, case.reference_answers):
        return False
    own = frozenset(content_words(passage.text))
    return not gold_words or any(
        len(own & gold) >= _GOLD_SHARE * min(len(own), len(gold)) for gold in gold_words if own and gold
    )


def find_cause(
    case: Case,
    result: CaseResult,
    *,
    holder_ids: Collection[int],
    cut_ids: Collection[int],
    closed_book: Rerun | None,
) -> Cause | None:
    """The first step that failed; None where the answer is not wrong, or nobody knows what the right one is.

    Args:
        case: What was asked.
        result: The grounded answer.
        holder_ids: Passages of the corpus that hold the answer (`find_holders`).
        cut_ids: Retrieved passages that the budget left out of the prompt.
        closed_book: The answer without documents; None where it could not be had.
    """
    if not needs_cause(result):
        return None
    if not case.answerable:  # gold passages, where it has some, only look as if they held an answer
        return "memory_over_evidence" if _repeats_memory(result, closed_book) else "not_in_corpus"
    if not (case.reference_answers or case.gold_passages):
        return None
    if not holder_ids:
        return "not_in_corpus"
    retrieved = set(holder_ids) & set(result.retrieved_passage_ids)
    if not retrieved:
        return "not_retrieved"
    if retrieved <= set(cut_ids):
        return "cut_by_budget"
    return "memory_over_evidence" if _repeats_memory(result, closed_book) else "present_but_unread"


def _repeats_memory(result: CaseResult, closed_book: Rerun | None) -> bool:
    """Whether the grounded answer is the one that the model gives without documents."""
    if closed_book is None or closed_book.abstained or not closed_book.text or not result.text:
        return False
    if not normalize_answer(closed_book.text):
        return False
    return token_f1(result.text, [closed_book.text]) >= _SAME_ANSWER_F1


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """From no documents, over retrieved ones, to the right passage: correct answers to answerable cases.

    `closed_book` and `oracle` are those of systems with the same model in the same run; without one every case is
    undefined. `recovered` needs none: the wrong answers that a rerun on the gold passages gets right.
    """

    system: str
    closed_book: Figure
    grounded: Figure
    oracle: Figure
    recovered: Figure
    causes: Mapping[str, int]


def waterfalls(record: RunRecord, probes: Iterable[Probe]) -> tuple[Waterfall, ...]:
    """One for each grounded system of a run."""
    results: dict[str, dict[str, CaseResult]] = {}
    for result in record.results:
        results.setdefault(result.system, {})[result.case_id] = result
    traced = {(probe.system, probe.case_id): probe for probe in probes}
    asked = [case for case in record.cases if case.answerable]

    def outcomes(system: System | None) -> list[Outcome | None]:
        own = {} if system is None else results.get(system.name, {})
        return [own[case.case_id].outcome if case.case_id in own else None for case in asked]

    falls = []
    for system in record.manifest.systems:
        if system.mode != "grounded":
            continue
        grounded = outcomes(system)
        reruns = [traced.get((system.name, case.case_id)) for case in asked]
        recovered = [
            probe.oracle.outcome if probe is not None and probe.oracle is not None else None
            for probe, outcome in zip(reruns, grounded, strict=True)
            if outcome == "wrong"
        ]
        falls.append(
            Waterfall(
                system=system.name,
                closed_book=_correct(outcomes(partner(record.manifest.systems, system, "closed_book"))),
                grounded=_correct(grounded),
                oracle=_correct(outcomes(partner(record.manifest.systems, system, "oracle"))),
                recovered=_correct(recovered),
                causes=_count_causes(results.get(system.name, {}).values()),
            )
        )
    return tuple(falls)


def partner(systems: Sequence[System], system: System, mode: SystemMode) -> System | None:
    """The first system of `mode` that answers with the same model and sampling; None where there is none."""
    alike = (other for other in systems if other.mode == mode)
    return next((other for other in alike if (other.model, other.sampling) == (system.model, system.sampling)), None)


def _count_causes(results: Iterable[CaseResult]) -> dict[str, int]:
    counted = Counter(result.cause for result in results if result.cause is not None)
    return {cause: counted[cause] for cause in sorted(counted)}


def _correct(outcomes: Sequence[Outcome | None]) -> Figure:
    known = [outcome for outcome in outcomes if outcome is not None]
    return Figure(
        numerator=float(sum(outcome == "correct" for outcome in known)),
        denominator=len(known),
        undefined=len(outcomes) - len(known),
        n=len(outcomes),
    )


def rerun_of(result: CaseResult) -> Rerun:
    """What matters of a result that serves as a rerun."""
    return Rerun(text=result.text, abstained=result.abstained, outcome=result.outcome)


def figure_json(figure: Figure) -> dict[str, Any]:
    """A figure with its value, as reports have it."""
    return {
        "value": figure.value,
        "numerator": figure.numerator,
        "denominator": figure.denominator,
        "undefined": figure.undefined,
        "n": figure.n,
    }


def waterfall_json(fall: Waterfall) -> dict[str, Any]:
    """The waterfall as reports have it."""
    steps = {name: figure_json(getattr(fall, name)) for name in ("closed_book", "grounded", "oracle", "recovered")}
    return {"system": fall.system, **steps, "causes": dict(fall.causes)}
