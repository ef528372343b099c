"""Markers to citations: reads the markers of a draft, and writes the final text with its own.

The numbers are those of the prompt, whether a marker was written, moved or added: marker n is the n-th passage that the
model was shown. Every citation resolves to a stored passage and a span of one version of a document.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.attribution import Attributed, Attribution
from rag.markers import find_markers
from rag.prompt_passage import PromptPassage
from rag.text import split_sentences
from rag.types import Box, Citation, Claim, Span, VerdictLabel
from rag.verify.types import StatedClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSentence:
    """One sentence of a draft, its markers taken out."""

    lead: str  # what stands before it: white space, list bullets
    text: str
    written: tuple[int, ...]  # markers the model wrote for it that name a passage of the prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft without markers."""

    sentences: tuple[DraftSentence, ...]
    invalid_markers: tuple[int, ...]  # numbers that name no passage, in order, without repetitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judge's verdict on what one sentence claims."""

    label: VerdictLabel
    score: float  # 0..1: probability that it is supported
    claim: StatedClaim  # offsets in the sentence
    passage_id: int | None = None
    elsewhere: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence and what is known of it."""

    sentence: DraftSentence
    attributed: Attributed
    verdict: Verdict | None = None  # None where nobody judged it, or it claims nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a span of a document can be seen."""

    first_page: int | None
    last_page: int | None
    boxes: tuple[Box, ...] = ()


Locate = Callable[[str, int, Span], Place]  # document id, version, span of its text


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedSentence:
    """One sentence of the final text; its offsets are in that text."""

    part: str  # what it adds to the text: what stands before it, the sentence, its markers
    citations: tuple[Citation, ...]
    claim: Claim | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedText:
    """The final text; all offsets are in it."""

    sentences: tuple[CitedSentence, ...]

    @property
    def text(self) -> str:
        """The sentences' parts, joined."""
        return "".join(sentence.part for sentence in self.sentences)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Those of all sentences, in order."""
        return tuple(citation for sentence in self.sentences for citation in sentence.citations)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """One a sentence that was judged."""
        return tuple(sentence.claim for sentence in self.sentences if sentence.claim is not None)


def read_draft(text: str, n_passages: int) -> Draft:
    """Sentences of `text` and the markers that belong to each.

    A marker belongs to the sentence that it stands in or after; one that opens a line belongs to what follows it.
    """
    plain, placed = _take_out(text)
    spans = split_sentences(plain)
    written: list[list[int]] = [[] for _ in spans]
    invalid: list[int] = []
    for position, opens_line, numbers in placed:
        before = sum(span.start < position for span in spans)
        owner = min(before, len(spans) - 1) if opens_line else max(before - 1, 0)
        for number in numbers:
            if not 1 <= number <= n_passages:
                invalid.append(number)
            elif spans:
                written[owner].append(number)
    ends = [0, *(span.end for span in spans)]
    sentences = tuple(
        DraftSentence(lead=plain[end : span.start], text=span.cut(plain), written=tuple(dict.fromkeys(numbers)))
        for end, span, numbers in zip(ends, spans, written, strict=False)
    )
    return Draft(sentences=sentences, invalid_markers=tuple(dict.fromkeys(invalid)))


def _take_out(text: str) -> tuple[str, list[tuple[int, bool, tuple[int, ...]]]]:
    """`text` without markers, and for each its place there, whether it opened a line, and its numbers."""
    plain, end = "", 0
    placed = []
    for marker in find_markers(text):
        between = text[end : marker.start]
        plain = (plain + (between.lstrip(" \t") if _opens_line(plain) else between)).rstrip(" \t")
        placed.append((len(plain), _opens_line(plain), marker.numbers))
        end = marker.end
        if text[end : end + 1].isalnum() and not _opens_line(plain):
            plain += " "
    rest = text[end:]
    return plain + (rest.lstrip(" \t") if placed and _opens_line(plain) else rest), placed


def _opens_line(text: str) -> bool:
    return not text or text.endswith("\n")


def write_citations(
    findings: Sequence[Finding], passages: Sequence[PromptPassage], locate: Locate | None = None
) -> CitedText:
    """The final text: each sentence, then the markers of its quotes; `passages` are those of the prompt."""
    text = ""
    sentences: list[CitedSentence] = []
    for finding in findings:
        sentence, quotes = finding.sentence, finding.attributed.quotes
        lead = sentence.lead if text else sentence.lead.lstrip()
        start = len(text) + len(lead)
        span = Span(start=start, end=start + len(sentence.text))
        markers = "".join(f"[{number}]" for number in dict.fromkeys(quote.marker for quote in quotes))
        part = lead + sentence.text + (f" {markers}" if markers else "")
        text += part
        citations = tuple(_citation(quote, passages[quote.marker - 1], span, locate) for quote in quotes)
        claim = None if finding.verdict is None else _claim(start, finding.verdict)
        sentences.append(CitedSentence(part=part, citations=citations, claim=claim))
    return CitedText(sentences=tuple(sentences))


def _citation(quote: Attribution, passage: PromptPassage, answer_span: Span, locate: Locate | None) -> Citation:
    piece = passage.holder(quote.span)
    place = Place(first_page=piece.first_page, last_page=piece.last_page)
    if locate is not None and piece.passage_id is not None:
        place = locate(passage.document_id, passage.version, quote.span)
    return Citation(
        marker=quote.marker,
        passage_id=piece.passage_id,
        document_id=passage.document_id,
        document_name=passage.document_name,
        document_version=passage.version,
        first_page=place.first_page,
        last_page=place.last_page,
        char_range=quote.span,
        quote=quote.quote,
        answer_span=answer_span,
        boxes=place.boxes,
        support=quote.support,
        score=quote.score,
    )


def _claim(start: int, verdict: Verdict) -> Claim:
    """The claim of a sentence that starts at `start` of the final text."""
    return Claim(
        text=verdict.claim.text,
        start=start + verdict.claim.start,
        end=start + verdict.claim.end,
        verdict=verdict.label,
        score=verdict.score,
        passage_id=verdict.passage_id,
        elsewhere=verdict.elsewhere,
        reasons=verdict.reasons,
    )
