import dataclasses
import json

import pytest

from llm.types import ModelInfo
from rag.catalog.answer_json import answer_to_json, hit_to_json
from rag.errors import NotFoundError
from rag.types import (
    Answer,
    Box,
    Citation,
    Claim,
    Dropped,
    Hit,
    Passage,
    Removed,
    Scores,
    Span,
    Support,
    Timings,
    Usage,
)


def citation_of(passage: Passage, marker: int, answer_span: Span) -> Citation:
    return Citation(
        marker=marker,
        passage_id=passage.passage_id,
        document_id=passage.document_id,
        document_name=passage.document_name,
        document_version=passage.version,
        first_page=passage.first_page,
        last_page=passage.last_page,
        char_range=Span(start=passage.start, end=passage.end),
        quote=passage.text,
        answer_span=answer_span,
        boxes=(Box(page=1, x0=0.1, y0=0.2, x1=0.3, y1=0.4),),
        support=Support(label="supported", score=0.9, verifier="stub"),
        score=0.8,
    )


def answer_from(passages: list[Passage], cited: list[Passage], now, answer_id: str = "ans_1") -> Answer:
    """An answer of one sentence a cited passage."""
    text, citations, claims = "", [], []
    for marker, passage in enumerate(cited, start=1):
        span = Span(start=len(text), end=len(text) + len(passage.text))
        citations.append(citation_of(passage, marker, span))
        claims.append(
            Claim(
                text=passage.text,
                start=span.start,
                end=span.end,
                verdict="supported",
                score=0.9,
                passage_id=passage.passage_id,
            )
        )
        text += f"{passage.text} [{marker}] "
    return Answer(
        answer_id=answer_id,
        question="What of it?",
        mode="grounded",
        collection="default",
        text=text,
        abstained=False,
        citations=tuple(citations),
        invalid_markers=(7,),
        claims=tuple(claims),
        removed=(Removed(text="gone", verdict="unsupported", score=0.1, reason="nothing says so"),),
        faithfulness=1.0,
        confidence=0.5,
        retrieved=tuple(
            Hit(rank=rank, passage=passage, score=0.5, scores=Scores(dense=0.25, fused=0.5))
            for rank, passage in enumerate(passages, start=1)
        ),
        dropped=(Dropped(passage_id=99, reason="budget"),),
        model=ModelInfo(name="m", engine="torch", device="cpu", dtype="fp32", context_tokens=2048),
        usage=Usage(prompt_tokens=10, completion_tokens=5),
        timings=Timings(retrieve_seconds=0.1, total_seconds=0.2),
        created_at=now,
    )


PASSAGE = Passage(
    passage_id=5,
    document_id="doc_1",
    document_name="a.pdf",
    collection="default",
    version=2,
    ordinal=0,
    text="Leave is 30 days.",
    start=100,
    end=117,
    heading="3 Leave",
    table_header=None,
    first_page=4,
    last_page=5,
    n_tokens=6,
    continues=False,
)


def test_a_hit_has_the_shape_of_the_contract() -> None:
    hit = Hit(rank=1, passage=PASSAGE, score=0.5, scores=Scores(dense=0.25, lexical=None, fused=0.5))
    expected = {
        "rank": 1,
        "passage_id": 5,
        "document_id": "doc_1",
        "document_name": "a.pdf",
        "page": {"start": 4, "end": 5},
        "heading": "3 Leave",
        "text": "Leave is 30 days.",
        "char_range": {"start": 100, "end": 117},
        "score": 0.5,
        "scores": {"dense": 0.25, "lexical": None, "fused": 0.5, "rerank": None},
    }
    assert hit_to_json(hit) == expected | {"document_version": 2}
    pageless = dataclasses.replace(PASSAGE, first_page=None, last_page=None)
    assert hit_to_json(dataclasses.replace(hit, passage=pageless))["page"] is None


def test_an_answer_has_the_shape_of_the_contract(bench) -> None:
    payload = answer_to_json(answer_from([PASSAGE], [PASSAGE], bench.now))
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert payload.keys() >= {
        "answer_id",
        "question",
        "text",
        "abstained",
        "citations",
        "invalid_markers",
        "claims",
        "removed",
        "faithfulness",
        "confidence",
        "retrieved",
        "dropped",
        "model",
        "usage",
        "timings",
    }
    assert payload["citations"] == [
        {
            "marker": 1,
            "passage_id": 5,
            "document_id": "doc_1",
            "document_name": "a.pdf",
            "document_version": 2,
            "page": {"start": 4, "end": 5},
            "char_range": {"start": 100, "end": 117},
            "quote": "Leave is 30 days.",
            "answer_span": {"start": 0, "end": 17},
            "boxes": [{"page": 1, "x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4}],
            "support": {"label": "supported", "score": 0.9, "verifier": "stub"},
            "score": 0.8,
        }
    ]
    assert payload["claims"] == [
        {
            "text": "Leave is 30 days.",
            "start": 0,
            "end": 17,
            "verdict": "supported",
            "score": 0.9,
            "passage_id": 5,
            "elsewhere": None,
            "reasons": [],
        }
    ]
    assert payload["removed"] == [{"text": "gone", "verdict": "unsupported", "score": 0.1, "reason": "nothing says so"}]
    assert payload["dropped"] == [{"passage_id": 99, "reason": "budget"}]
    assert payload["model"] == {
        "name": "m",
        "engine": "torch",
        "device": "cpu",
        "dtype": "fp32",
        "context_tokens": 2048,
        "adapter": None,
    }
    assert payload["usage"] == {"prompt_tokens": 10, "completion_tokens": 5}
    assert payload["timings"] == {
        "retrieve_seconds": 0.1,
        "first_token_seconds": None,
        "generate_seconds": None,
        "verify_seconds": None,
        "elsewhere_seconds": None,
        "total_seconds": 0.2,
    }
    nothing = dataclasses.replace(
        answer_from([], [], bench.now), model=None, abstained=True, faithfulness=None, confidence=None
    )
    assert answer_to_json(nothing)["model"] is None and answer_to_json(nothing)["citations"] == []


@pytest.fixture
def two(bench):
    """Passages of two searched documents."""
    first = bench.ready("Leave lasts thirty days a year", name="one.txt")
    second = bench.ready("Travel needs a signed form", name="two.txt")
    of = bench.catalog.passages.of_document
    return of(first.document_id), of(second.document_id)


def test_a_stored_answer_is_read_as_it_was(bench, two) -> None:
    answer = answer_from([*two[0], *two[1]], [two[0][0], two[1][0]], bench.now)
    bench.catalog.answers.save(answer)
    stored = bench.catalog.answers.get("ans_1")
    assert stored.payload == answer_to_json(answer) and not stored.stale
    with pytest.raises(NotFoundError):
        bench.catalog.answers.get("ans_none")


def test_an_answer_is_stale_once_a_cited_version_is_replaced(bench, two) -> None:
    bench.catalog.answers.save(answer_from([*two[0], *two[1]], [two[0][0]], bench.now))
    bench.replace(two[1][0].document_id, "retrieved but not cited")
    bench.publish("retrieved but not cited")
    bench.replace(two[0][0].document_id, "on its way")
    assert not bench.catalog.answers.get("ans_1").stale
    bench.publish("there")
    stored = bench.catalog.answers.get("ans_1")
    assert stored.stale and stored.payload["citations"][0]["quote"] == "Leave last"


def test_a_deletion_takes_its_words_out_and_leaves_the_rest(bench, two) -> None:
    answer = answer_from([*two[0], *two[1]], [two[0][0], two[1][0]], bench.now)
    bench.catalog.answers.save(answer)
    before = answer_to_json(answer)
    bench.catalog.documents.delete(two[0][0].document_id, bench.now)
    stored = bench.catalog.answers.get("ans_1")
    payload = stored.payload
    assert stored.stale and payload["redacted"] is True and payload["text"] is None
    gone, kept = payload["citations"]
    assert (gone["quote"], gone["document_name"], gone["redacted"]) == (None, None, True)
    for name in ("marker", "passage_id", "document_id", "char_range", "answer_span", "support", "page"):
        assert gone[name] == before["citations"][0][name]
    assert kept == before["citations"][1]
    for hit, old in zip(payload["retrieved"], before["retrieved"], strict=True):
        if hit["document_id"] == two[0][0].document_id:
            assert (hit["text"], hit["heading"], hit["document_name"], hit["redacted"]) == (None, None, None, True)
            assert (hit["char_range"], hit["scores"]) == (old["char_range"], old["scores"])
        else:
            assert hit == old
    claim, other = payload["claims"]
    assert (claim["text"], claim["verdict"], claim["start"], claim["redacted"]) == (None, "supported", 0, True)
    assert other == before["claims"][1]
    assert payload["removed"][0]["text"] is None and payload["removed"][0]["verdict"] == "unsupported"
    assert payload["question"] == "What of it?" and payload["usage"] == before["usage"]
    # the second deletion finds the rest
    bench.catalog.documents.delete(two[1][0].document_id, bench.now)
    payload = bench.catalog.answers.get("ans_1").payload
    words = json.dumps(payload)
    assert "Leave" not in words and "Travel" not in words and ".txt" not in words


def test_reasons_go_with_whatever_document_they_may_quote(bench, two) -> None:
    plain = answer_from([*two[0], *two[1]], [two[1][0]], bench.now)
    claim = Claim(
        text="It rains", start=0, end=8, verdict="unsupported", score=0.1, reasons=("the evidence says thirty days",)
    )
    bench.catalog.answers.save(dataclasses.replace(plain, text="It rains.", claims=(claim,)))
    assert bench.catalog.answers.get("ans_1").payload["claims"][0]["reasons"] == ["the evidence says thirty days"]
    bench.catalog.documents.delete(two[0][0].document_id, bench.now)
    (kept,) = bench.catalog.answers.get("ans_1").payload["claims"]
    assert (kept["text"], kept["verdict"], kept["reasons"], kept["redacted"]) == ("It rains", "unsupported", None, True)


def test_an_answer_that_repeats_what_it_does_not_cite_is_redacted(bench) -> None:
    content = "the secret word is canary"
    bench.width = 40
    document = bench.ready(content)
    hits = list(bench.catalog.passages.of_document(document.document_id))
    quiet = dataclasses.replace(answer_from(hits, [], bench.now, "ans_quiet"), text="Nobody knows.")
    telling = dataclasses.replace(
        answer_from(hits, [], bench.now, "ans_telling"), text="It says: The SECRET word is—canary!"
    )
    bench.catalog.answers.save(quiet)
    bench.catalog.answers.save(telling)
    bench.catalog.documents.delete(document.document_id, bench.now)
    assert bench.catalog.answers.get("ans_quiet").payload["text"] == "Nobody knows."
    assert bench.catalog.answers.get("ans_quiet").payload["retrieved"][0]["text"] is None
    assert not bench.catalog.answers.get("ans_quiet").stale
    assert bench.catalog.answers.get("ans_telling").payload["text"] is None


def test_a_document_deleted_while_its_answer_was_made_is_redacted_when_stored(bench, two) -> None:
    bench.catalog.documents.delete(two[0][0].document_id, bench.now)
    bench.catalog.answers.save(answer_from([*two[0], *two[1]], [two[0][0]], bench.now))
    stored = bench.catalog.answers.get("ans_1")
    assert stored.stale and stored.payload["text"] is None and "Leave" not in json.dumps(stored.payload)
    assert stored.payload["retrieved"][-1]["text"] == two[1][-1].text


def test_evidence_given_with_the_question_is_no_document(bench) -> None:
    evidence = dataclasses.replace(PASSAGE, document_id="given-1")
    answer = answer_from([evidence], [evidence], bench.now)
    answer = dataclasses.replace(
        answer, citations=tuple(dataclasses.replace(citation, passage_id=None) for citation in answer.citations)
    )
    bench.catalog.answers.save(answer)
    stored = bench.catalog.answers.get("ans_1")
    assert not stored.stale and stored.payload == answer_to_json(answer)
