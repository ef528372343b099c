"""Follow-ups through the service: what the decoder is shown, and what must never come back."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.conversations import Conversations
from api.serve import Running, running
from llm.types import Message
from rag.answer_types import AskRequest
from rag.prompt import Shown

Upload = Callable[..., dict[str, Any]]
FIRST = "How many weeks of leave may parents take?"
SECOND = "And how many days are granted for moving house?"
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def talk(
    make_settings: Callable[..., Any], ready: Callable[[httpx.Client], None]
) -> Iterator[tuple[Running, httpx.Client]]:
    replies = ("Parents may take fourteen weeks.",)
    with (
        running(make_settings(scripted_replies=replies, continue_prompts=True)) as service,
        httpx.Client(base_url=service.address, timeout=60.0) as http,
    ):
        ready(http)
        yield service, http


def ask(http: httpx.Client, question: str, collection: str, *before: dict[str, Any], **more: Any) -> dict[str, Any]:
    history = [
        turn
        for answer in before
        for turn in (
            {"role": "user", "content": answer["question"]},
            {"role": "assistant", "content": answer["text"]},
        )
    ]
    body = {"question": question, "collection": collection, "history": history, **more}
    response = http.post("/v1/ask", json=body)
    response.raise_for_status()
    return response.json()  # type: ignore[no-any-return]


def prompt_of(service: Running, answer: dict[str, Any]) -> tuple[Message, ...]:
    stored = service.parts.catalog.answers.trace(answer["answer_id"])
    assert stored is not None and stored.trace is not None
    return stored.trace.messages


@pytest.fixture
def place(talk: tuple[Running, httpx.Client], upload: Upload, handbook: str) -> tuple[str, str]:
    """A collection with one document, and the document's id."""
    name = f"talk {next(_NUMBERS)}"
    return name, upload(talk[1], "handbook.md", handbook, collection=name)["document_id"]


def test_a_follow_up_goes_on_from_the_prompt_before_it(
    talk: tuple[Running, httpx.Client], place: tuple[str, str]
) -> None:
    service, http = talk
    collection, document_id = place
    first = ask(http, FIRST, collection)
    second = ask(http, SECOND, collection, first)
    before, after = prompt_of(service, first), prompt_of(service, second)
    common = before[-1].content.partition("\n\nQuestion:")[0]
    assert after[:-1] == before[:-1] and after[-1].content.startswith(common) and SECOND in after[-1].content
    assert first["carried"] == []
    assert [row["marker"] for row in second["carried"]] == list(range(1, len(second["carried"]) + 1))
    assert second["carried"][0]["document_id"] == document_id and "fourteen weeks" in str(second["carried"])
    (citation,) = second["citations"]  # of a passage that only the turn before shows
    assert citation["marker"] <= len(second["carried"]) and "fourteen weeks" in citation["quote"]
    text = http.get(f"/v1/documents/{document_id}/text").text
    assert text[citation["char_range"]["start"] : citation["char_range"]["end"]] == citation["quote"]
    third = ask(http, FIRST, collection, first, second)
    assert prompt_of(service, third)[-1].content.startswith(common) and third["carried"]
    assert http.get(f"/v1/answers/{second['answer_id']}").json()["carried"] == second["carried"]


@pytest.mark.parametrize("change", ["answer", "question", "filter", "evidence", "collection"])
def test_any_other_conversation_gets_a_prompt_of_its_own(
    talk: tuple[Running, httpx.Client], place: tuple[str, str], change: str, upload: Upload, handbook: str
) -> None:
    service, http = talk
    collection = place[0]
    first = ask(http, FIRST, collection)
    more: dict[str, Any] = {}
    if change == "answer":
        first = {**first, "text": "Ten weeks."}
    elif change == "question":
        first = {**first, "question": "How many?"}
    elif change == "filter":
        more["filter"] = {"name": {"$ne": "x"}}
    elif change == "evidence":
        more["evidence"] = [{"id": "e", "text": "Two days are granted for moving house."}]
    else:
        collection = f"{collection} elsewhere"
        upload(http, "other.md", handbook, collection=collection)
    second = ask(http, SECOND, collection, first, **more)
    assert second["carried"] == []
    assert sum(turn.role == "system" for turn in prompt_of(service, second)) == 1
    assert not any("[1]" in turn.content for turn in prompt_of(service, second)[:-1])


def test_nothing_of_a_deleted_document_comes_back(
    talk: tuple[Running, httpx.Client], place: tuple[str, str], upload: Upload
) -> None:
    service, http = talk
    collection, document_id = place
    first = ask(http, FIRST, collection)
    second = ask(http, SECOND, collection, first)
    assert second["carried"]
    http.delete(f"/v1/documents/{document_id}").raise_for_status()
    stored = http.get(f"/v1/answers/{second['answer_id']}")
    assert "fourteen weeks" not in stored.text and stored.json()["carried"][0]["text"] is None
    upload(http, "other.md", "Lunch is served at noon. Moving house is not mentioned.", collection=collection)
    again = ask(http, SECOND, collection, first)
    assert again["carried"] == []
    shown = prompt_of(service, again)
    assert not any("fourteen weeks of paid" in turn.content for turn in shown)


def test_nothing_of_a_replaced_version_comes_back(
    talk: tuple[Running, httpx.Client], place: tuple[str, str], done: Callable[[httpx.Client, str], dict[str, Any]]
) -> None:
    service, http = talk
    collection, document_id = place
    first = ask(http, FIRST, collection)
    newer = {"file": ("handbook.md", b"Parents may take sixteen weeks of leave. Three days for moving house.")}
    http.put(f"/v1/documents/{document_id}/content", files=newer).raise_for_status()
    done(http, document_id)
    second = ask(http, SECOND, collection, first)
    assert second["carried"] == [] and "sixteen weeks" in prompt_of(service, second)[-1].content


def test_the_store_is_bounded_and_each_client_has_its_own() -> None:
    store = Conversations(lambda ids: {}, max_turns=2)
    shown = Shown(messages=(Message(role="user", content="q"),), passages=(), retrieved=frozenset())

    def later(number: int) -> AskRequest:
        turns = (Message(role="user", content=f"q{number}"), Message(role="assistant", content="a"))
        return AskRequest(question="next", history=turns)

    for number in range(3):
        store.keep(AskRequest(question=f"q{number}"), "me", "a", shown)
    assert [store.find(later(number), "me") for number in range(3)] == [None, shown, shown]
    assert store.find(later(2), "you") is None
    store.forget()
    assert store.find(later(2), "me") is None
    long = Shown(messages=(Message(role="user", content="q" * 40_000),), passages=(), retrieved=frozenset())
    store.keep(AskRequest(question="q5"), "me", "a", long)
    assert store.find(later(5), "me") is None


def test_unless_it_is_asked_for_a_follow_up_reads_the_ordinary_prompt(
    make_settings: Callable[..., Any], ready: Callable[[httpx.Client], None], upload: Upload, handbook: str
) -> None:
    with (
        running(make_settings(scripted_replies=("Parents may take fourteen weeks.",))) as service,
        httpx.Client(base_url=service.address, timeout=60.0) as http,
    ):
        ready(http)
        upload(http, "handbook.md", handbook, collection="plain")
        first = ask(http, FIRST, "plain")
        assert ask(http, SECOND, "plain", first)["carried"] == []
