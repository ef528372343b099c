# ruff: noqa: E501
import json
from typing import Any

import pytest
from pydantic import ValidationError

from api.errors import describe
from api.schemas.fields import bounded_json
from api.schemas.requests import AskIn, SearchIn


def complaint(model: type[AskIn] | type[SearchIn], body: str) -> str:
    with pytest.raises(ValidationError) as error:
        model.model_validate(json.loads(body))
    found = error.value.errors()
    return describe([{**row, "loc": ("body", *row["loc"])} for row in found])[0]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "question is required"),
        ('{"question": ""}', "question must be a string of 1 to 8,000 characters"),
        ('{"question": "  \\n "}', "question must be a string of 1 to 8,000 characters"),
        ('{"question": 7}', "question must be a string of 1 to 8,000 characters"),
        ('{"question": "\\ud800"}', "question must hold no NUL character and no half of a surrogate pair"),
        ('{"question": "a\\u0000b"}', "question must hold no NUL character and no half of a surrogate pair"),
        (json.dumps({"question": "x" * 100_000}), "question must be a string of 1 to 8,000 characters"),
        ('{"question": "a", "k": 0}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": 10000}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": true}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": 3.0}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": "3"}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": NaN}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "k": 9223372036854775808}', "k must be a whole number from 1 to 100"),
        (f'{{"question": "a", "k": 1{"0" * 400}}}', "k must be a whole number from 1 to 100"),
        ('{"question": "a", "colection": "b"}', "colection is not a field of this request"),
        ('{"question": "a", "sampling": {"top_p": NaN}}', "sampling.top_p must be a number above 0 and at most 1"),
        ('{"question": "a", "sampling": {"top_p": Infinity}}', "sampling.top_p must be a number above 0 and at most 1"),
        ('{"question": "a", "sampling": {"temperature": true}}', "sampling.temperature must be a number from 0 (greedy) to 10"),
        ('{"question": "a", "sampling": {"seed": 9223372036854775808}}', "sampling.seed must be a whole number from 0 to 9223372036854775807"),
        ('{"question": "a", "sampling": {"beams": 2}}', "sampling.beams is not a field of this request"),
        ('{"question": "a", "sampling": {"stop": [""]}}', "sampling.stop must be at most 16 strings of 1 to 200 characters"),
        ('{"question": "a", "filter": {"a": NaN}}', "filter must hold finite numbers only"),
        ('{"question": "a", "filter": {"a": 9223372036854775808}}', "filter must hold only numbers from -2^63 to 2^63 - 1"),
        ('{"question": "a", "filter": []}', "filter must be a JSON object"),
        ('{"question": "a", "mode": "open"}', "mode must be 'grounded' or 'closed_book'"),
        ('{"question": "a", "verify": 1}', "verify must be true or false"),
        ('{"question": "a", "stream": "yes"}', "stream must be true or false"),
        ('{"question": "a", "history": [{"role": "system", "content": "x"}]}', "history.0.role must be 'user' or 'assistant'"),
        ('{"question": "a", "evidence": []}', "evidence must have at least 1 item"),
        ('{"question": "a", "evidence": [{"id": "1", "text": "x"}, {"id": "1", "text": "y"}]}', "evidence must have a different id in each row"),
        ('{"question": "a", "evidence": [{"id": "1", "text": "x"}], "mode": "closed_book"}', "evidence must be left out in closed_book mode"),
        ('{"question": "a", "collection": "a\\nb"}', "collection must be a string of 1 to 128 characters, none of them a control character or line break"),
        ("[]", "the body must be a JSON object"),
    ],
)  # fmt: skip
def test_each_wrong_value_has_one_sentence(body: str, message: str) -> None:
    assert complaint(AskIn, body) == message


def test_a_search_needs_a_query() -> None:
    assert complaint(SearchIn, '{"question": "a"}') == "query is required"


def test_text_is_made_nfc() -> None:
    assert SearchIn.model_validate({"query": "Cafe\u0301"}).query == "Caf\u00e9"


def test_sampling_takes_the_default_length_unless_told() -> None:
    asked = AskIn.model_validate({"question": "a", "sampling": {"temperature": 1, "stop": ["\n"]}})
    params = asked.sampling.params(77)
    assert (params.max_new_tokens, params.temperature, params.stop) == (77, 1.0, ("\n",))
    assert (
        AskIn.model_validate({"question": "a", "sampling": {"max_new_tokens": 5}}).sampling.params(77).max_new_tokens
        == 5
    )


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_json_is_bounded_in_depth_and_size() -> None:
    assert bounded_json(nested(8)) == nested(8)
    for wrong in (nested(9), {"a": ["x"] * 3000}, {"a": "x" * 40_000}, {"a": {"b": "\ud800"}}, {"a\0": 1}):
        with pytest.raises(ValueError, match="must"):
            bounded_json(wrong)
