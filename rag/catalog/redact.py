"""Takes the words of one document out of a stored answer and keeps ids, offsets, scores and verdicts."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# An answer that shares this many words in a row with a passage repeats it, whatever it cites.
_RUN_WORDS = 4

_WORD = re.compile(r"\w+")


def redact(payload: Mapping[str, Any], document_id: str) -> dict[str, Any]:
    """A copy of an answer's JSON without the words of `document_id`.

    Quotes, texts of hits and of what was carried over, headings and the document's name become null. A sentence that
    cites the document, or repeats four words in a row of those texts, makes the whole `text` null, since the offsets of
    other citations must keep their meaning. Claims on such sentences lose their text; so do all sentences the strict
    policy removed, whose sources are not known any more, and all claims lose their reasons, which may quote anything
    that was read. Everything touched has `redacted: true`.
    """
    hits = [hit for hit in payload["retrieved"] if hit["document_id"] == document_id]
    citations = [citation for citation in payload["citations"] if citation["document_id"] == document_id]
    carried = [one for one in payload.get("carried", ()) if one["document_id"] == document_id]
    if not hits and not citations and not carried:
        return dict(payload)
    runs = _runs([*(item["text"] for item in (*hits, *carried)), *(citation["quote"] for citation in citations)])
    passages = {item["passage_id"] for item in (*hits, *citations)} - {None}
    passages.update(*(one["passage_ids"] for one in carried))
    spans = [(citation["answer_span"]["start"], citation["answer_span"]["end"]) for citation in citations]

    def tells(claim: Mapping[str, Any]) -> bool:
        return (
            claim["passage_id"] in passages
            or claim["elsewhere"] in passages
            or any(claim["start"] < end and start < claim["end"] for start, end in spans)
            or _repeats(claim["text"], runs)
        )

    redacted = dict(payload)
    redacted["retrieved"] = [
        _without(hit, "text", "heading", "document_name") if hit["document_id"] == document_id else hit
        for hit in payload["retrieved"]
    ]
    redacted["carried"] = [
        _without(one, "text", "document_name") if one["document_id"] == document_id else one
        for one in payload.get("carried", ())
    ]
    redacted["citations"] = [
        _without(citation, "quote", "document_name") if citation["document_id"] == document_id else citation
        for citation in payload["citations"]
    ]
    redacted["claims"] = [
        _without(claim, "text", "reasons")
        if tells(claim)
        else (_without(claim, "reasons") if claim.get("reasons") else claim)
        for claim in payload["claims"]
    ]
    redacted["removed"] = [_without(removed, "text", "reason") for removed in payload["removed"]]
    if citations or _repeats(payload["text"], runs):
        redacted["text"] = None
    redacted["redacted"] = True
    return redacted


def _without(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**item, **dict.fromkeys(names), "redacted": True}


def _words(text: str | None) -> list[str]:
    return [match.group().casefold() for match in _WORD.finditer(text or "")]


def _runs(texts: Iterable[str | None]) -> set[tuple[str, ...]]:
    return {run for text in texts for run in _runs_of(text)}


def _runs_of(text: str | None) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[i : i + _RUN_WORDS]) for i in range(len(words) - _RUN_WORDS + 1)}


def _repeats(text: str | None, runs: set[tuple[str, ...]]) -> bool:
    return not runs.isdisjoint(_runs_of(text))
