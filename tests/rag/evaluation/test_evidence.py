from rag.evaluation.evidence import CachedSearch, EvidenceText, Yardstick, gold_texts
from rag.evaluation.scored import score_case
from rag.evaluation.systems import answer_case
from rag.evaluation.types import Case, LabelledClaim, System
from rag.types import Span
from rag.verify.overlap_judge import OverlapJudge

LEAVE = Case(case_id="leave", question="How long is parental leave?", reference_answers=("fourteen weeks",))
TRUE = "Parents may take fourteen weeks of paid parental leave."
FALSE = "Parents may take seventy weeks of unpaid sabbatical abroad."


def result(lab, case: Case, system: System, reply: str):
    bench, yardstick = lab.bench(reply), lab.yardstick()
    answer = answer_case(case, system, bench, collection="default", seed=0)
    return score_case(case, system, answer, bench, yardstick)


def test_the_same_words_are_judged_the_same_whoever_says_them(lab) -> None:
    closed = result(lab, LEAVE, System(name="closed", mode="closed_book"), TRUE)
    grounded = result(lab, LEAVE, System(name="grounded", mode="grounded"), TRUE)
    (one,), (other,) = closed.claims, grounded.claims
    assert one.verdict == other.verdict == "supported"
    assert one.quote == other.quote
    assert (one.shown_verdict, other.shown_verdict) == (None, "supported")
    assert closed.citation_counts is None
    assert (grounded.citation_counts.n_precise, grounded.citation_counts.n_literal) == (1, 1)


def test_a_quote_is_a_stretch_of_its_document(lab) -> None:
    (claim,) = result(lab, LEAVE, System(name="closed", mode="closed_book"), TRUE).claims
    text = lab.catalog.documents.text(claim.quote.document_id, claim.quote.document_version)
    assert claim.quote.char_range.cut(text) == claim.quote.text
    assert "fourteen weeks" in claim.quote.text


def test_what_nothing_supports_is_absent(lab) -> None:
    (claim,) = result(lab, LEAVE, System(name="closed", mode="closed_book"), FALSE).claims
    assert (claim.verdict, claim.where, claim.quote) == ("unsupported", "absent", None)


def test_what_the_corpus_holds_but_the_system_was_not_shown_is_elsewhere(lab) -> None:
    yardstick = lab.yardstick()
    (claim,) = yardstick.score(LEAVE, TRUE, [EvidenceText(text="The canteen serves lunch for six euros.")])
    assert (claim.verdict, claim.shown_verdict, claim.where) == ("supported", "unsupported", "elsewhere")
    assert len(yardstick.document_ids) == 1


def test_gold_passages_are_evidence_without_any_collection() -> None:
    yardstick = Yardstick(OverlapJudge(), None, "default")
    assert not yardstick.can_judge(LEAVE)
    assert yardstick.score(LEAVE, TRUE, None) is None
    case = Case(case_id="a", question="How long?", gold_passages=(TRUE,))
    (claim,) = yardstick.score(case, TRUE, None)
    assert (claim.verdict, claim.quote.text, claim.quote.document_id) == ("supported", TRUE, None)


def test_a_persons_verdict_stands_above_the_judges() -> None:
    yardstick = Yardstick(OverlapJudge(), None, "default")
    case = Case(case_id="a", question="How long?", gold_passages=(TRUE,))
    labelled = [LabelledClaim(text=TRUE, label="contradicted"), LabelledClaim(text="Not in the answer at all, this.")]
    first, second = yardstick.score(case, f"Yes. {TRUE}", None, labelled=labelled)
    assert (first.verdict, first.judged, first.decided_by) == ("contradicted", "supported", "person")
    assert (first.start, first.end) == (5, 5 + len(TRUE))
    assert (second.decided_by, second.start, second.end) == ("judge", None, None)


def test_a_quote_never_holds_the_heading() -> None:
    evidence = EvidenceText(text="Leave\nFourteen weeks.", n_prefix=6)
    assert evidence.quote(Span(start=0, end=21)).text == "Fourteen weeks."
    assert evidence.quote(Span(start=0, end=5)).text == "Fourteen weeks."  # the heading decided: all that can be quoted
    assert evidence.quote(None).text == "Fourteen weeks."


def test_the_systems_of_a_case_share_what_was_found(lab) -> None:
    class Counting:
        n = 0

        def search(self, query, *, k, collection, metadata_filter):
            self.n += 1
            return lab.retriever.search(query, k=k, collection=collection, metadata_filter=metadata_filter)

    counting = Counting()
    cached = CachedSearch(counting)
    for _ in range(3):
        cached.search("leave", k=2, collection="default")
    cached.search("leave", k=3, collection="default")
    assert counting.n == 2
    cached.clear()
    cached.search("leave", k=2, collection="default")
    assert counting.n == 3


def test_gold_texts_belong_to_no_document() -> None:
    (gold,) = gold_texts(Case(case_id="a", question="?", gold_passages=("text",)))
    assert gold.passage is None and gold.quote(None).passage_id is None
