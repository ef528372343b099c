"""Takes the words of one document out of comparisons and keeps ids, offsets, scores and verdicts."""

import datetime
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.catalog.models import (
    ComparisonInputRow,
    ComparisonResultRow,
    ComparisonRow,
    ComparisonSourceRow,
    DocumentRow,
    VersionRow,
)

_RUN_WORDS = 4  # a text that shares this many words in a row with a document repeats it
_WORD = re.compile(r"\w+")
_REMOVED = "(removed with its document)"

Repeats = Callable[[str], bool]


class Runs:
    """All runs of four words of some texts, by hash: 8 bytes a run."""

    def __init__(self, texts: Iterable[str]) -> None:
        hashes = (value for text in texts for value in _run_hashes(text))
        self._hashes = np.unique(np.fromiter(hashes, dtype=np.int64))

    def repeats(self, text: str) -> bool:
        """Whether `text` shares a run of four words with them."""
        own = np.fromiter(_run_hashes(text), dtype=np.int64)
        return bool(np.isin(own, self._hashes).any())


def _run_hashes(text: str) -> Iterator[int]:
    last: deque[str] = deque(maxlen=_RUN_WORDS)
    for match in _WORD.finditer(text):
        last.append(match.group().casefold())
        if len(last) == _RUN_WORDS:
            yield hash(tuple(last))


def redact_comparisons(session: Session, document_id: str, now: datetime.datetime) -> tuple[str, ...]:
    """Take a document's words out of every comparison, in the caller's transaction and before its rows are deleted.

    Results and probes of the cases that the document was a source of are looked at, and the cases of every comparison
    over its collection, which may have been drafted from it.

    Returns:
        The ids of the comparisons that changed.
    """
    document = session.get(DocumentRow, document_id)
    sources = session.execute(
        select(ComparisonSourceRow.comparison_id, ComparisonSourceRow.case_number)
        .where(ComparisonSourceRow.document_id == document_id)
        .order_by(ComparisonSourceRow.comparison_id, ComparisonSourceRow.case_number)
    ).all()
    asked = select(ComparisonRow.comparison_id).where(
        ComparisonRow.collection == ("" if document is None else document.collection)
    )
    comparison_ids = sorted({row[0] for row in sources} | set(session.scalars(asked)))
    if not comparison_ids:
        return ()
    texts = session.scalars(select(VersionRow.text).where(VersionRow.document_id == document_id))
    repeats = Runs(text for text in texts if text).repeats
    changed = {comparison_id for comparison_id in comparison_ids if _redact_input(session, comparison_id, repeats)}
    for comparison_id, case_number in sources:
        if _redact_results(session, comparison_id, case_number, document_id, repeats):
            changed.add(comparison_id)
    for comparison_id in changed:
        row = session.get_one(ComparisonRow, comparison_id)
        row.redacted, row.updated_at = True, now
    return tuple(sorted(changed))


def _redact_input(session: Session, comparison_id: str, repeats: Repeats) -> bool:
    row = session.get_one(ComparisonInputRow, comparison_id)
    redacted = redact_request(row.payload, repeats)
    changed = redacted != row.payload
    if changed:
        row.payload = redacted
    session.flush()
    session.expunge(row)
    return bool(changed)


def _redact_results(session: Session, comparison_id: str, case_number: int, document_id: str, repeats: Repeats) -> bool:
    changed = False
    query = select(ComparisonResultRow).where(
        ComparisonResultRow.comparison_id == comparison_id, ComparisonResultRow.case_number == case_number
    )
    for row in session.scalars(query).all():
        redacted = redact_case(row.payload, document_id, repeats=repeats)
        if redacted != row.payload:
            row.payload = redacted
            changed = True
        session.flush()
        session.expunge(row)
    return changed


def redact_request(request: Mapping[str, Any], repeats: Repeats) -> dict[str, Any]:
    """A copy of a comparison's input without texts that repeat a document."""
    cases = []
    for case in request["cases"]:
        gold = [text for text in case["gold_passages"] if not repeats(text)]
        references = [text for text in case["reference_answers"] if not repeats(text)]
        question = _REMOVED if case["drafted"] and repeats(case["question"]) else case["question"]
        kept = {**case, "gold_passages": gold, "reference_answers": references, "question": question}
        cases.append(kept if kept != case else case)
    systems = []
    for system in request["systems"]:
        given = system.get("answers")
        left = None if given is None else [answer for answer in given if not _told(answer, repeats)]
        systems.append({**system, "answers": left} if left != given else system)
    return {**request, "cases": cases, "systems": systems}


def _told(answer: Mapping[str, Any], repeats: Repeats) -> bool:
    claims = answer.get("claims") or []
    return any(repeats(text) for text in (answer["text"], *(claim["text"] for claim in claims)))


def redact_case(payload: Mapping[str, Any], document_id: str, *, repeats: Repeats | None) -> dict[str, Any]:
    """A copy of one stored line without the words of `document_id`.

    Quotes of the document lose text and name. An answer that cites it, or repeats four words in a row of it, loses its
    text, and so do claims that it decided or that repeat it. Without `repeats`, where the document is gone already,
    every text is taken to repeat it.
    """
    told = repeats or (lambda text: True)
    redacted = dict(payload)
    touched = False
    cites = False
    if payload.get("citations"):
        citations = [_without_quote(citation, document_id, told) for citation in payload["citations"]]
        cites = touched = citations != payload["citations"]
        redacted["citations"] = citations
    if payload.get("claims"):
        claims = []
        for claim in payload["claims"]:
            kept = _without_quote(claim, document_id, told)
            text = claim["text"]
            if kept != claim or (text is not None and told(text)):
                kept = {**kept, "text": None, "reasons": []}
            touched = touched or kept != claim
            claims.append(kept)
        redacted["claims"] = claims
    text = payload.get("text")
    if text is not None and (cites or told(text)):
        redacted["text"] = None
        touched = True
    for name in ("closed_book", "oracle", "swapped"):  # the reruns that a probe holds
        rerun = payload.get(name)
        if rerun is not None and rerun.get("text") is not None and told(rerun["text"]):
            redacted[name] = {**rerun, "text": None}
            touched = True
    return {**redacted, "redacted": True} if touched else redacted


def _without_quote(item: Mapping[str, Any], document_id: str, told: Repeats) -> dict[str, Any]:
    """`item` without its quote, if that is of the document or, as a gold passage may, repeats it."""
    quote = item.get("quote")
    if quote is None or quote["text"] is None:
        return dict(item)
    if quote["document_id"] != document_id and (quote["document_id"] is not None or not told(quote["text"])):
        return dict(item)
    return {**item, "quote": {**quote, "text": None, "document_name": None, "redacted": True}}
