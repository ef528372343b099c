import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import CancelledError
from llm.types import Cancel
from rag.types import Span
from rag.verify.cached_judge import CachedJudge
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.types import Judge, Judgement, StatedClaim

EVIDENCE = ("Cats sleep. The bridge was opened in 1883.", "Parents may not take more than 14 weeks of leave.")


def claim(text: str, question: str | None = None) -> StatedClaim:
    return StatedClaim(text=text, start=0, end=len(text), question=question)


def judge(text: str, question: str | None = None, evidence: tuple[str, ...] = EVIDENCE) -> Judgement:
    (judgement,) = OverlapJudge().judge([claim(text, question)], evidence)
    return judgement


def test_it_is_a_judge() -> None:
    assert isinstance(OverlapJudge(), Judge)
    assert isinstance(CachedJudge(OverlapJudge()), Judge)


@pytest.mark.parametrize(
    ("text", "question", "label", "score"),
    [
        ("The bridge was opened in 1883.", None, "supported", 1.0),
        ("1883", "When was the bridge opened?", "supported", 1.0),
        ("1883", "When was the tower finished?", "unsupported", 0.5),  # its words, none of the question's
        ("The bridge was opened in 1884.", None, "contradicted", 0.3),  # two of three words, but another number
        ("The bridge was painted red.", None, "unsupported", 1 / 3),
        ("Parents may take more than 14 weeks of leave.", None, "contradicted", 0.3),  # the negation is missing
        ("Zebras.", None, "unsupported", 0.0),
    ],
)
def test_verdicts_worked_by_hand(text: str, question: str | None, label: str, score: float) -> None:
    found = judge(text, question)
    assert (found.label, found.score) == (label, pytest.approx(score))


def test_the_place_is_the_shortest_that_holds_as_much() -> None:
    found = judge("The bridge was opened in 1883.")
    assert found.evidence == 0 and found.span == Span(start=12, end=42)
    assert found.span.cut(EVIDENCE[0]) == "The bridge was opened in 1883."


def test_without_evidence_everything_is_unsupported() -> None:
    for evidence in ((), ("",), ("  \n",), ("!?",)):
        found = judge("The bridge.", evidence=evidence)
        assert (found.label, found.score, found.evidence) == ("unsupported", 0.0, None)


def test_cancelling_raises() -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(CancelledError):
        OverlapJudge().judge([claim("The bridge.")], EVIDENCE, cancel=cancel)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3))
def test_any_text_gets_a_finite_verdict_with_its_place(text: str, evidence: list[str]) -> None:
    (found,) = OverlapJudge().judge([claim(text)], evidence)
    assert 0 <= found.score <= 1
    assert (found.label == "supported") == (found.score >= OverlapJudge().info.threshold)
    if found.evidence is not None:
        assert found.span is not None and found.span.cut(evidence[found.evidence])


class Counting(OverlapJudge):
    """Counts the claims it is asked about."""

    def __init__(self) -> None:
        self.n_claims = 0

    def judge(self, claims, evidence, *, cancel=None):  # type: ignore[no-untyped-def]
        self.n_claims += len(claims)
        return super().judge(claims, evidence, cancel=cancel)


def test_the_cache_asks_once_and_says_the_same() -> None:
    inner = Counting()
    cached = CachedJudge(inner)
    first = cached.judge([claim("The bridge."), claim("The bridge."), claim("Cats")], EVIDENCE)
    assert inner.n_claims == 2 and first[0] == first[1]
    assert cached.judge([claim("Cats"), claim("Dogs")], EVIDENCE)[0] == first[2]
    assert inner.n_claims == 3
    cached.judge([claim("Cats", "Who sleeps?")], EVIDENCE)
    cached.judge([claim("Cats")], EVIDENCE[:1])
    cached.judge([claim("Cats")], (EVIDENCE[0] + EVIDENCE[1],))
    assert inner.n_claims == 6
    assert [round(one.score, 6) for one in first] == [one.score for one in first]


def test_the_cache_is_bounded_and_forgets() -> None:
    inner = Counting()
    cached = CachedJudge(inner, max_judgements=2)
    for text in ("a1", "b1", "a1", "c1"):
        cached.judge([claim(text)], EVIDENCE)
    assert len(cached) == 2
    cached.judge([claim("a1")], EVIDENCE)
    assert inner.n_claims == 3
    cached.judge([claim("b1")], EVIDENCE)  # was used least recently
    assert inner.n_claims == 4
    cached.forget()
    assert len(cached) == 0


def test_what_was_read_while_the_cache_forgot_is_not_kept() -> None:
    class Deleting(OverlapJudge):
        def judge(self, claims, evidence, *, cancel=None):  # type: ignore[no-untyped-def]
            cached.forget()
            return super().judge(claims, evidence, cancel=cancel)

    cached = CachedJudge(Deleting())
    cached.judge([claim("Cats")], EVIDENCE)
    assert len(cached) == 0
