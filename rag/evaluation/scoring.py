"""Whether an answer is right: SQuAD's measures over the references, and the rule that makes one outcome of them.

The rule, where no person has judged: an answer is **correct** when the words of a reference stand in it in a row, or
when its token F1 with a reference is at least `MIN_F1` and every number of that reference stands in it ("18 June 1940"
is no "17 June 1940"); it is **wrong** otherwise. Words are compared as SQuAD does (Rajpurkar et al., EMNLP 2016): small
letters, no punctuation, no articles. Without references and without a label correctness is undefined. The rule is
lenient to answers that name many things and strict to other words for the same thing; `judged_equivalent` stands
beside it.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag import draft
from rag.evaluation.types import (
    AnswerLabel,
    Case,
    CaseResult,
    DecidedBy,
    ExternalAnswer,
    Outcome,
    ScoredClaim,
)
from rag.markers import drop_markers
from rag.prompt import NOT_IN_DOCUMENTS, NOT_KNOWN
from rag.text import content_words
from rag.verify.types import Judge, StatedClaim

MIN_F1 = 0.5  # half of the words shared, in the harmonic mean

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScore:
    """What one answer came to; see `CaseResult` for the fields."""

    abstained: bool
    outcome: Outcome | None
    decided_by: DecidedBy | None
    exact_match: bool | None
    token_f1: float | None
    contains_reference: bool | None


def normalize_answer(text: str) -> str:
    """Small letters, without punctuation and articles, one space between words: SQuAD's own order of steps."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Whether `text` is one of the references, both normalized."""
    normalized = normalize_answer(text)
    return any(normalized == normalize_answer(reference) for reference in references)


def token_f1(text: str, references: Sequence[str]) -> float:
    """Harmonic mean of word precision and recall, 0..1, the best over the references; 0 without references.

    Where either has no words left it is 1 if both have none, else 0, as in SQuAD 2.0's script.
    """
    found = normalize_answer(text).split()
    return max((_f1(found, normalize_answer(reference).split()) for reference in references), default=0.0)


def contains_reference(text: str, references: Sequence[str]) -> bool:
    """Whether the words of a reference stand in `text` in a row; a reference without words is in no text."""
    padded = f" {normalize_answer(text)} "
    normalized = (normalize_answer(reference) for reference in references)
    return any(reference and f" {reference} " in padded for reference in normalized)


def says_nothing(case: Case, text: str) -> bool:
    """Whether an answer made elsewhere abstains: it is blank, or says in whatever words that there is no answer.

    Words that are a reference, or that stand in a gold passage, are an answer all the same ("unknown", "none").
    """
    plain = text.strip()
    if plain in ("", NOT_IN_DOCUMENTS, NOT_KNOWN):
        return True
    if exact_match(plain, case.reference_answers) or any(plain in passage for passage in case.gold_passages):
        return False
    return bool(content_words(plain)) and draft.is_abstention(plain)


def score_answer(case: Case, text: str, *, abstained: bool, label: AnswerLabel | None = None) -> AnswerScore:
    """Score one answer; a person's `label` stands above `abstained` and the references.

    For an unanswerable case abstaining is right whatever the references; a person's `correct` then means just that.
    """
    if label is not None:
        abstained = label == "abstained"
    if not case.answerable:
        right = abstained or label == "correct"
        decided: DecidedBy = "person" if label is not None else "abstention"
        return AnswerScore(
            abstained=right,
            outcome="right_abstention" if right else "false_confidence",
            decided_by=decided,
            exact_match=None,
            token_f1=None,
            contains_reference=None,
        )
    if abstained:
        return AnswerScore(
            abstained=True,
            outcome="abstained",
            decided_by="person" if label is not None else "abstention",
            exact_match=None,
            token_f1=None,
            contains_reference=None,
        )
    references = case.reference_answers
    plain = drop_markers(text)
    outcome: Outcome | None = label
    if label is None and references:
        outcome = "correct" if _is_correct(plain, references) else "wrong"
    return AnswerScore(
        abstained=False,
        outcome=outcome,
        decided_by="person" if label is not None else ("references" if references else None),
        exact_match=exact_match(plain, references) if references else None,
        token_f1=token_f1(plain, references) if references else None,
        contains_reference=contains_reference(plain, references) if references else None,
    )


def judged_equivalent(case: Case, text: str, judge: Judge) -> bool | None:
    """Whether the judge finds a reference in the answer, read together with its question; None without references."""
    if not case.reference_answers:
        return None
    claims = [StatedClaim(text=ref, start=0, end=len(ref), question=case.question) for ref in case.reference_answers]
    judgements = judge.judge(claims, [f"{case.question} {drop_markers(text)}"])
    return any(judgement.label == "supported" for judgement in judgements)


def external_result(case: Case, answer: ExternalAnswer, *, system: str) -> CaseResult:
    """An answer made elsewhere, scored by its labels and the references; claims without a label are not judged yet.

    One in which people found claims states something, however it begins.
    """
    abstained = not answer.claims and says_nothing(case, answer.text)
    score = score_answer(case, answer.text, abstained=abstained, label=answer.label)
    claims = None
    if answer.claims is not None:
        claims = tuple(
            ScoredClaim(
                text=claim.text,
                start=answer.text.find(claim.text) if claim.text in answer.text else None,
                end=answer.text.find(claim.text) + len(claim.text) if claim.text in answer.text else None,
                verdict=claim.label,
                decided_by="person" if claim.label is not None else None,
            )
            for claim in answer.claims
        )
    return CaseResult(
        case_id=case.case_id,
        system=system,
        text=answer.text,
        abstained=score.abstained,
        outcome=score.outcome,
        decided_by=score.decided_by,
        label=answer.label,
        exact_match=score.exact_match,
        token_f1=score.token_f1,
        contains_reference=score.contains_reference,
        claims=claims,
        confidence=answer.confidence,
    )


def _is_correct(text: str, references: Sequence[str]) -> bool:
    if contains_reference(text, references) or exact_match(text, references):
        return True
    found = normalize_answer(text).split()
    for reference in references:
        wanted = normalize_answer(reference).split()
        numbers = {word for word in wanted if any(char.isdigit() for char in word)}
        if numbers <= set(found) and _f1(found, wanted) >= MIN_F1:
            return True
    return False


def _f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))
