from collections.abc import Sequence

from llm.types import Cancel
from rag.evaluation.citation_metrics import CitedText, count_citations
from rag.evaluation.types import CitationCounts
from rag.types import Span
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.types import Judgement, StatedClaim, VerifierInfo

ANSWER = "The mill opened in 1890. Its owner was Ann Lee."
FIRST, SECOND = Span(start=0, end=24), Span(start=25, end=47)


class AllWords:
    """Supported where the evidence, taken together, holds every word of two letters or more of the claim."""

    @property
    def info(self) -> VerifierInfo:
        return VerifierInfo(name="all words", version="1", threshold=0.5)

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        held = set(" ".join(evidence).lower().replace(".", "").split())
        return tuple(
            Judgement(
                label="supported" if set(claim.text.lower().replace(".", "").split()) <= held else "unsupported",
                score=0.5,
                evidence=0,
                span=None,
            )
            for claim in claims
        )


def count(*citations: CitedText, shown: Sequence[str] = (), n_out_of_range: int = 0) -> CitationCounts:
    return count_citations(
        "What of the mill?", ANSWER, citations, judge=AllWords(), shown=shown, n_out_of_range=n_out_of_range
    )


def test_one_citation_that_supports_its_sentence() -> None:
    found = count(CitedText(answer_span=FIRST, text="The mill opened in 1890.", literal=True))
    assert found == CitationCounts(n_sentences=2, n_recalled=1, n_citations=1, n_precise=1, n_quotes=1, n_literal=1)


def test_citations_that_support_only_together_are_both_needed() -> None:
    found = count(CitedText(answer_span=FIRST, text="The mill opened"), CitedText(answer_span=FIRST, text="in 1890"))
    assert (found.n_recalled, found.n_citations, found.n_precise) == (1, 2, 2)


def test_one_that_the_others_do_without_is_not_precise() -> None:
    found = count(
        CitedText(answer_span=FIRST, text="The mill opened"),
        CitedText(answer_span=FIRST, text="in 1890"),
        CitedText(answer_span=FIRST, text="Lunch is at noon."),
    )
    assert (found.n_recalled, found.n_citations, found.n_precise) == (1, 3, 2)


def test_two_that_each_support_alone_are_both_precise() -> None:
    found = count(
        CitedText(answer_span=FIRST, text="The mill opened in 1890."),
        CitedText(answer_span=FIRST, text="In 1890 the mill opened."),
    )
    assert (found.n_citations, found.n_precise) == (2, 2)


def test_citations_of_a_sentence_that_is_not_recalled_are_not_precise() -> None:
    found = count(CitedText(answer_span=FIRST, text="The mill opened in 1891."))
    assert (found.n_recalled, found.n_precise, found.n_misplaced) == (0, 0, 0)


def test_a_citation_of_another_sentence_is_misplaced() -> None:
    found = count(CitedText(answer_span=FIRST, text="Its owner was Ann Lee."))
    assert (found.n_recalled, found.n_precise, found.n_misplaced) == (0, 0, 1)


def test_support_that_was_shown_and_not_cited_is_missed() -> None:
    shown = ["The mill opened in 1890.", "Its owner was"]
    found = count(shown=shown)
    assert (found.n_missed, found.n_recalled, found.n_sentences) == (1, 0, 2)
    cited = count(CitedText(answer_span=FIRST, text=shown[0]), shown=shown)
    assert (cited.n_missed, cited.n_recalled) == (0, 1)


def test_markers_out_of_range_and_quotes_that_were_changed_are_counted() -> None:
    found = count(
        CitedText(answer_span=FIRST, text="The mill opened in 1890.", literal=False),
        CitedText(answer_span=SECOND, text="Its owner was Ann Lee.", literal=None),
        n_out_of_range=3,
    )
    assert (found.n_out_of_range, found.n_quotes, found.n_literal) == (3, 1, 0)


def test_an_abstention_has_no_sentence_and_so_no_share() -> None:
    found = count_citations(
        "Who?", "The documents do not contain an answer to this question.", (), judge=OverlapJudge(), shown=["x"]
    )
    assert found == CitationCounts(n_sentences=0, n_recalled=0, n_citations=0, n_precise=0)


def test_a_citation_outside_every_statement_counts_and_is_not_precise() -> None:
    found = count_citations(
        "Who?",
        "Really? Ann Lee owned the mill.",
        [CitedText(answer_span=Span(start=0, end=7), text="Ann Lee owned the mill.")],
        judge=AllWords(),
    )
    assert (found.n_sentences, found.n_citations, found.n_precise, found.n_misplaced) == (1, 1, 0, 1)
