import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribution import Attributed, Attribution
from rag.citations import DraftSentence, Finding, Place, Verdict, read_draft, write_citations
from rag.markers import find_markers
from rag.prompt_passage import Evidence, Piece, PromptPassage, from_evidence
from rag.types import Box, Span, Support
from rag.verify.types import StatedClaim

EVIDENCE = tuple(from_evidence(Evidence(id=f"e{n}", text=f"Text number {n}.")) for n in (1, 2, 3))


def read(text: str) -> tuple[list[tuple[str, tuple[int, ...]]], tuple[int, ...]]:
    draft = read_draft(text, 3)
    return [(sentence.text, sentence.written) for sentence in draft.sentences], draft.invalid_markers


@pytest.mark.parametrize(
    ("text", "sentences", "invalid"),
    [
        ("It is red [1].", [("It is red.", (1,))], ()),
        ("It is red. [1] It is big. [2][3]", [("It is red.", (1,)), ("It is big.", (2, 3))], ()),
        ("It is [1] red and [2] big.", [("It is red and big.", (1, 2))], ()),
        ("[2] It is red. It is big.", [("It is red.", (2,)), ("It is big.", ())], ()),
        ("It is red.\n[2] It is big.", [("It is red.", ()), ("It is big.", (2,))], ()),
        ("It is red [7]. It is big [0, 2].", [("It is red.", ()), ("It is big.", (2,))], (7, 0)),
        ("It is red [1][1].", [("It is red.", (1,))], ()),
        ("It is red【3†source】.", [("It is red.", (3,))], ()),
        ("[9]", [], (9,)),
        ("", [], ()),
    ],
)
def test_reads_sentences_and_their_markers(
    text: str, sentences: list[tuple[str, tuple[int, ...]]], invalid: tuple[int, ...]
) -> None:
    assert read(text) == (sentences, invalid)


def finding(text: str, *quotes: Attribution, lead: str = " ", verdict: Verdict | None = None) -> Finding:
    return Finding(
        sentence=DraftSentence(lead=lead, text=text, written=()),
        attributed=Attributed(quotes=quotes, score=0.9),
        verdict=verdict,
    )


def quote(marker: int, start: int = 0, end: int = 4) -> Attribution:
    span = Span(start=start, end=end)
    return Attribution(marker=marker, span=span, quote=span.cut(f"Text number {marker}."), score=0.8)


def test_writes_markers_after_sentences_and_keeps_offsets() -> None:
    findings = [
        finding("It is red.", quote(2), lead="  "),
        finding("It is big.", lead="\n- "),
        finding("It is old.", quote(1), quote(3), lead="\n- "),
        finding("It stays.", quote(1), quote(1, 5, 11)),
    ]
    cited = write_citations(findings, EVIDENCE)
    assert cited.text == "It is red. [2]\n- It is big.\n- It is old. [1][3] It stays. [1]"
    assert [sentence.part for sentence in cited.sentences][:2] == ["It is red. [2]", "\n- It is big."]
    assert [one.marker for one in cited.citations] == [2, 1, 3, 1, 1]
    assert [one.answer_span.cut(cited.text) for one in cited.citations] == [
        "It is red.",
        "It is old.",
        "It is old.",
        "It stays.",
        "It stays.",
    ]
    first = cited.citations[0]
    assert (first.document_id, first.passage_id, first.document_version, first.quote) == ("e2", None, 1, "Text")
    assert cited.citations[-1].quote == "number"


def test_verdicts_become_claims_and_support() -> None:
    claim = StatedClaim(text="It is red", start=0, end=9)
    verdict = Verdict(label="supported", score=0.7, claim=claim, passage_id=5, reasons=("why",))
    support = Support(label="supported", score=0.8, verifier="v1")
    quoted = dataclasses.replace(quote(1), support=support)
    cited = write_citations([finding("So.", lead=""), finding("It is red.", quoted, verdict=verdict)], EVIDENCE)
    (claim,) = cited.claims
    assert (claim.text, claim.start, claim.end, claim.verdict, claim.passage_id) == (
        "It is red",
        4,
        13,
        "supported",
        5,
    )
    assert (cited.text[claim.start : claim.end], claim.reasons) == (claim.text, ("why",))
    assert [sentence.claim for sentence in cited.sentences] == [None, claim]
    assert cited.citations[0].support == support


def test_a_stored_quote_resolves_to_the_passage_that_holds_it_and_is_located() -> None:
    pieces = (
        Piece(passage_id=7, span=Span(start=100, end=110), text="0123456789", first_page=1, last_page=2),
        Piece(passage_id=8, span=Span(start=110, end=120), text="abcdefghij", first_page=3, last_page=3),
    )
    passage = PromptPassage(
        document_id="d", document_name="d.pdf", version=4, heading=None, table_header=None, pieces=pieces
    )
    found = Attribution(marker=1, span=Span(start=108, end=114), quote="89abcd", score=0.9)
    cited = write_citations([finding("It.", found)], [passage]).citations[0]
    assert (cited.passage_id, cited.first_page, cited.last_page, cited.document_version) == (8, 3, 3, 4)
    asked = []

    def locate(document_id: str, version: int, span: Span) -> Place:
        asked.append((document_id, version, span))
        return Place(first_page=2, last_page=3, boxes=(Box(page=2, x0=0, y0=0, x1=1, y1=1),))

    cited = write_citations([finding("It.", found)], [passage], locate).citations[0]
    assert (cited.first_page, cited.last_page, len(cited.boxes)) == (2, 3, 1)
    assert asked == [("d", 4, Span(start=108, end=114))]


@given(st.text(alphabet="ab. \n-[]123,Cd", max_size=120))
def test_reading_and_writing_keeps_every_word(text: str) -> None:
    draft = read_draft(text, 2)
    findings = [Finding(sentence=sentence, attributed=Attributed(quotes=(), score=0.0)) for sentence in draft.sentences]
    cited = write_citations(findings, EVIDENCE)
    assert find_markers(cited.text) == ()
    kept = text
    for marker in reversed(find_markers(text)):
        kept = kept[: marker.start] + kept[marker.end :]
    bare = str.maketrans("", "", " \n-.123")
    assert cited.text.translate(bare) == kept.translate(bare)
    assert set(draft.invalid_markers).isdisjoint({1, 2})
