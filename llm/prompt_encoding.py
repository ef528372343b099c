"""Messages → token ids, so that no content can ever become a special token.

The chat template is rendered with an unguessable mark in place of each content. The pieces between the marks are the
template's own text and are encoded with special tokens; the contents are encoded by a second tokenizer that has none:
its added tokens are gone and their vocabulary entries renamed, so the text `<|im_start|>` becomes ordinary tokens.
"""

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from llm.errors import UnsupportedError
from llm.types import Message


class PromptEncoder:
    """Encodes prompts and plain text for one transformers tokenizer that is backed by `tokenizers`.

    The tokenizer's own truncation and padding are switched off. Thread-safe.
    """

    def __init__(self, tokenizer: Any, *, encoder_decoder: bool = False) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UnsupportedError("the model has no tokenizer.json; choose a model with one")
        from tokenizers import Tokenizer

        self._tokenizer = tokenizer
        self._encoder_decoder = encoder_decoder
        whole = json.loads(tokenizer.backend_tokenizer.to_str())
        self._marked = tokenizer.backend_tokenizer
        self._marked.no_truncation()
        self._marked.no_padding()
        self._plain = Tokenizer.from_str(json.dumps(_without_added_tokens(whole)))
        self._before, self._after = self._frame()

    def encode_text(self, text: str) -> list[int]:
        """Ids of a plain text. No id of an added token comes from it, save the unknown token for unknown characters."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the whole prompt, up to the place where the model begins to answer.

        A template that refuses or ignores the system role gets the system text at the head of the first user turn.

        Raises:
            UnsupportedError: the model's template refuses the messages.
        """
        marks = [f"mark{secrets.token_hex(16)}" for _ in messages]
        if getattr(self._tokenizer, "chat_template", None):
            rendered, framed = self._render(messages, marks), False
        else:
            rendered, framed = self._plain_template(messages, marks), True
        contents = {mark: message.content for mark, message in zip(marks, messages, strict=True)}
        ids = list(self._before) if framed else []
        for piece in re.split("(" + "|".join(marks) + ")", rendered) if marks else [rendered]:
            if piece in contents:
                ids += self.encode_text(contents[piece])
            elif piece:
                ids += self._marked.encode(piece, add_special_tokens=False).ids
        if self._encoder_decoder:
            ids += self._after
        return ids

    def _render(self, messages: Sequence[Message], marks: Sequence[str]) -> str:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": mark} for message, mark in zip(messages, marks, strict=True)]
        try:
            rendered = self._apply(turns)
        except TemplateError as error:
            if turns and turns[0]["role"] == "system":
                return self._render_without_system(turns, marks)
            raise UnsupportedError(f"the model's chat template refuses these messages: {error}") from error
        missing = [turn for turn, mark in zip(turns, marks, strict=True) if mark not in rendered]
        if missing and missing == turns[:1] and turns[0]["role"] == "system":
            return self._render_without_system(turns, marks)
        if missing:
            raise UnsupportedError(f"the model's chat template leaves out a message of role {missing[0]['role']}")
        return rendered

    def _render_without_system(self, turns: list[dict[str, str]], marks: Sequence[str]) -> str:
        from jinja2 import TemplateError

        first = next((turn for turn in turns[1:] if turn["role"] == "user"), None)
        rest = turns[1:] if first is not None else [{"role": "user", "content": turns[0]["content"]}, *turns[1:]]
        joined = [
            turn | {"content": f"{turns[0]['content']}\n\n{turn['content']}"} if turn is first else turn
            for turn in rest
        ]
        try:
            rendered = self._apply(joined)
        except TemplateError as error:
            raise UnsupportedError(f"the model's chat template refuses these messages: {error}") from error
        if not all(mark in rendered for mark in marks):
            raise UnsupportedError("the model's chat template leaves out a message")
        return rendered

    def _apply(self, turns: list[dict[str, str]]) -> str:
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _plain_template(self, messages: Sequence[Message], marks: Sequence[str]) -> str:
        """`role: content` for a model without a chat template; an encoder–decoder gets the contents alone."""
        if self._encoder_decoder:
            return "\n\n".join(marks)
        turns = [f"{message.role}: {mark}\n\n" for message, mark in zip(messages, marks, strict=True)]
        return "".join(turns) + "assistant:"

    def _frame(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer puts before and after every text, e.g. a beginning and an end token."""
        bare = self._marked.encode("a", add_special_tokens=False).ids
        framed = self._marked.encode("a").ids
        for start in range(len(framed) - len(bare) + 1):
            if framed[start : start + len(bare)] == bare:
                return framed[:start], framed[start + len(bare) :]
        return [], []


def _without_added_tokens(whole: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer.json content with every added token out of reach of any text; all other ids stay."""
    added = {token["content"] for token in whole["added_tokens"]}
    nonce = secrets.token_hex(16)
    names = {token: f"\u0000{nonce}{number}" for number, token in enumerate(sorted(added))}
    model = dict(whole["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(token, token): index for token, index in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(token, token), score] for token, score in model["vocab"]]
    if model.get("merges"):
        pairs = [tuple(merge.split(" ", 1)) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
        model["merges"] = [[left, right] for left, right in pairs if not {left, right, left + right} & added]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    return whole | {
        "model": model,
        "added_tokens": [],
        "post_processor": None,
        "truncation": None,
        "padding": None,
    }
