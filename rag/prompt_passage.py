"""What of the documents stands in a prompt: pieces of stored passages, joined where they are neighbours, as fit."""

import bisect
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rag.text import split_sentences, words
from rag.types import Dropped, Hit, Passage, Span

_MAX_NEIGHBOUR_CHARS = 400  # of the sentence before or after a passage

Neighbour = Callable[[Passage, int], Passage | None]  # the passage `offset` places further in the same document


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of one stored passage, or of evidence that came with the question. `text == document_text[span]`."""

    passage_id: int | None  # None for evidence that came with the question
    span: Span  # in the text of that version of the document
    text: str
    first_page: int | None = None
    last_page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Pieces that follow each other without a gap: `text == document_text[start : start + len(text)]`."""

    text: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptPassage:
    """What stands under one marker: one hit, or hits that are neighbours in one document, with what was joined to them.

    Only `pieces` can be cited; heading and table header are shown and help to recognise support.
    """

    document_id: str
    document_name: str
    version: int
    heading: str | None
    table_header: str | None
    pieces: tuple[Piece, ...]  # in document order, not overlapping, none empty

    @property
    def passage_ids(self) -> tuple[int, ...]:
        """The stored passages that stand here, in document order."""
        return tuple(dict.fromkeys(piece.passage_id for piece in self.pieces if piece.passage_id is not None))

    @property
    def length(self) -> int:
        """Characters that can be cited."""
        return sum(len(piece.text) for piece in self.pieces)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The citable text, cut where document text between two pieces is not at hand."""
        runs: list[Run] = []
        for piece in self.pieces:
            if runs and runs[-1].start + len(runs[-1].text) == piece.span.start:
                runs[-1] = Run(text=runs[-1].text + piece.text, start=runs[-1].start)
            else:
                runs.append(Run(text=piece.text, start=piece.span.start))
        return tuple(runs)

    def holder(self, span: Span) -> Piece:
        """The piece that holds most of `span` (document offsets), the earlier one if two hold as much."""
        return max(self.pieces, key=lambda piece: min(piece.span.end, span.end) - max(piece.span.start, span.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A text given with the question, in place of retrieval. Its id is unique within the request."""

    id: str
    text: str


def from_evidence(evidence: Evidence) -> PromptPassage:
    """The whole of an evidence text under its own id, version 1."""
    piece = Piece(passage_id=None, span=Span(start=0, end=len(evidence.text)), text=evidence.text)
    return PromptPassage(
        document_id=evidence.id,
        document_name=evidence.id,
        version=1,
        heading=None,
        table_header=None,
        pieces=(piece,),
    )


def from_passage(passage: Passage, neighbour: Neighbour | None) -> PromptPassage:
    """A hit as it enters the prompt, with the sentence before and after where it begins or ends inside a paragraph."""
    own = _piece(passage, passage.start, passage.end)
    around = (_before(passage, neighbour), own, _after(passage, neighbour)) if neighbour else (own,)
    return PromptPassage(
        document_id=passage.document_id,
        document_name=passage.document_name,
        version=passage.version,
        heading=passage.heading,
        table_header=passage.table_header,
        pieces=tuple(piece for piece in around if piece is not None),
    )


def _before(passage: Passage, neighbour: Neighbour) -> Piece | None:
    """The last sentence of the passage before, if `passage` continues it."""
    previous = neighbour(passage, -1) if passage.continues else None
    if previous is None:
        return None
    text = previous.text[: max(0, passage.start - previous.start)]  # without what both hold
    following = passage.text[:_MAX_NEIGHBOUR_CHARS] if previous.end >= passage.start else ""
    starts = [sentence.start for sentence in split_sentences(text + following) if sentence.start < len(text)]
    if not starts or len(text) - starts[-1] > _MAX_NEIGHBOUR_CHARS:
        return None
    return _piece(previous, previous.start + starts[-1], previous.start + len(text))


def _after(passage: Passage, neighbour: Neighbour) -> Piece | None:
    """The rest of a sentence that `passage` begins and the passage after it ends."""
    following = neighbour(passage, 1)
    if following is None or not following.continues or following.start > passage.end:
        return None
    tail = passage.text[-_MAX_NEIGHBOUR_CHARS:]
    rest = following.text[passage.end - following.start :]
    for sentence in split_sentences(tail + rest):
        if sentence.start < len(tail) < sentence.end <= len(tail) + _MAX_NEIGHBOUR_CHARS:
            return _piece(following, passage.end, passage.end + sentence.end - len(tail))
    return None


def _piece(passage: Passage, start: int, end: int) -> Piece:
    """The stretch [start, end) of the document that `passage` holds."""
    return Piece(
        passage_id=passage.passage_id,
        span=Span(start=start, end=end),
        text=passage.text[start - passage.start : end - passage.start],
        first_page=passage.first_page,
        last_page=passage.last_page,
    )


def cut(passage: PromptPassage, end: int) -> PromptPassage:
    """`passage` up to the document offset `end`."""
    pieces = (_clip(piece, piece.span.start, end) for piece in passage.pieces)
    return dataclasses.replace(passage, pieces=tuple(piece for piece in pieces if piece is not None))


def _clip(piece: Piece, start: int, end: int) -> Piece | None:
    """The part of `piece` inside [start, end), None if there is none."""
    first, last = max(piece.span.start, start), min(piece.span.end, end)
    if first >= last:
        return None
    text = piece.text[first - piece.span.start : last - piece.span.start]
    return dataclasses.replace(piece, span=Span(start=first, end=last), text=text)


def _middle(passage: PromptPassage) -> int:
    """The document offset up to which a passage has half of its characters."""
    left = passage.length // 2
    for piece in passage.pieces:
        if left <= len(piece.text):
            return piece.span.start + left
        left -= len(piece.text)
    return passage.pieces[-1].span.end


def join(passages: Sequence[PromptPassage]) -> PromptPassage:
    """Passages that touch, as one; heading and table header are those of the first in document order."""
    first = min(passages, key=lambda passage: passage.pieces[0].span.start)
    pieces = _in_order(piece for passage in passages for piece in passage.pieces)
    return dataclasses.replace(first, pieces=pieces)


def _in_order(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces in document order; what two hold stays with the one that begins first."""
    kept: list[Piece] = []
    end = 0
    for piece in sorted(pieces, key=lambda one: (one.span.start, -one.span.end)):
        rest = _clip(piece, end, piece.span.end)
        if rest is not None:
            kept.append(rest)
            end = rest.span.end
    return tuple(kept)


def touch(one: PromptPassage, other: PromptPassage) -> bool:
    """Whether two passages overlap or follow each other without a gap in one version of a document."""
    if (one.document_id, one.version) != (other.document_id, other.version):
        return False
    first, second = sorted((one, other), key=lambda passage: passage.pieces[0].span.start)
    return second.pieces[0].span.start <= first.pieces[-1].span.end


def covers(passages: Iterable[PromptPassage], passage: Passage) -> bool:
    """Whether every character of a stored passage stands under the markers of `passages`."""
    spans = sorted(
        (piece.span.start, piece.span.end)
        for one in passages
        if (one.document_id, one.version) == (passage.document_id, passage.version)
        for piece in one.pieces
    )
    at = passage.start
    for start, end in spans:
        if start <= at:
            at = max(at, end)
    return at >= passage.end


def fill(
    hits: Sequence[Hit],
    fits: Callable[[Sequence[PromptPassage]], bool],
    neighbour: Neighbour | None,
    *,
    known: Sequence[PromptPassage] = (),
) -> tuple[tuple[PromptPassage, ...], tuple[Dropped, ...]]:
    """The passages of `hits`, best first, that fit, and the hits that are left out.

    Args:
        hits: Best first.
        fits: Whether a prompt with these passages keeps to its budget.
        neighbour: See `rag.prompt.build_prompt`.
        known: Passages that the prompt shows already; the same text is not shown twice.
    """
    filling = _Filling(fits)
    seen = {" ".join(piece.text.split()) for passage in known for piece in passage.pieces}
    dropped: list[Dropped] = []
    for hit in hits:
        text = " ".join(hit.passage.text.split())
        if text in seen:
            dropped.append(Dropped(passage_id=hit.passage.passage_id, reason="duplicate"))
        elif filling.add(from_passage(hit.passage, neighbour)):
            seen.add(text)
        else:
            dropped.append(Dropped(passage_id=hit.passage.passage_id, reason="budget"))
    return tuple(filling.passages), tuple(dropped)


class _Filling:
    """Passages of a prompt in the making, added in rank order for as long as they fit.

    Args:
        fits: Whether a prompt with these passages keeps to its budget.
    """

    def __init__(self, fits: Callable[[Sequence[PromptPassage]], bool]) -> None:
        self._fits = fits
        self._full = False
        self.passages: list[PromptPassage] = []

    def add(self, passage: PromptPassage) -> bool:
        """Add `passage` or, once, what fits of it; False if it stays out."""
        if self._full:
            return False
        if self._take(self._joined(passage)):
            return True
        if self.passages and not self._fits([*self.passages, cut(passage, _middle(passage))]):
            return False
        shorter = self._shortened(passage)
        if shorter is None or (self.passages and 2 * shorter.length < passage.length):
            return False
        self._full = self._take([*self.passages, shorter])
        return self._full

    def _joined(self, passage: PromptPassage) -> list[PromptPassage]:
        """The passages with `passage` at the end, or in the place of the first one that it touches."""
        touching = [other for other in self.passages if touch(other, passage)]
        if not touching:
            return [*self.passages, passage]
        joined = join([*touching, passage])
        return [joined if other is touching[0] else other for other in self.passages if other not in touching[1:]]

    def _take(self, passages: list[PromptPassage]) -> bool:
        """Keep `passages` if they fit."""
        fits = self._fits(passages)
        if fits:
            self.passages = passages
        return fits

    def _shortened(self, passage: PromptPassage) -> PromptPassage | None:
        """The longest beginning of `passage` that fits: whole sentences, or whole words where no sentence fits."""
        for split in (split_sentences, words):
            ends = [run.start + part.end for run in passage.runs for part in split(run.text)]
            n_fitting = bisect.bisect_left(
                ends, True, key=lambda end: not self._fits([*self.passages, cut(passage, end)])
            )
            if n_fitting:
                return cut(passage, ends[n_fitting - 1])
        return None
