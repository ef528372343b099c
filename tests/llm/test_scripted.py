"""What only the scripted decoder promises."""

import pytest

from llm.scripted import ScriptedDecoder
from llm.types import Message, Request, SamplingParams


def ask(text: str, **sampling: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), sampling=SamplingParams(**sampling))


def test_replies_come_in_order_and_the_last_one_stays() -> None:
    decoder = ScriptedDecoder(["First answer [1].", "Second."])
    assert [done.text for done in decoder.generate([ask("a"), ask("b")])] == ["First answer [1].", "Second."]
    assert decoder.generate([ask("c")])[0].text == "Second."


def test_a_function_sees_the_messages() -> None:
    decoder = ScriptedDecoder(lambda messages: messages[-1].content.upper())
    assert decoder.generate([ask("sea"), ask("town")])[1].text == "TOWN"


@pytest.mark.parametrize("reply", ["", "  leading and trailing \n ", "日本語 one\ttwo\n\nthree", "word"])
def test_a_reply_arrives_to_the_letter(reply: str) -> None:
    (done,) = ScriptedDecoder([reply]).generate([ask("x")])
    assert done.text == reply
    assert done.finish_reason == "stop"


def test_tokens_are_words_with_fixed_probabilities() -> None:
    first, second = (ScriptedDecoder(["one two one"]).generate([ask("x")])[0] for _ in range(2))
    assert [token.text for token in first.tokens] == ["one", " two", " one"]
    assert first.tokens == second.tokens
    assert all(token.probability is not None and 0.5 <= token.probability < 1 for token in first.tokens)


def test_it_needs_something_to_say() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ScriptedDecoder([])
