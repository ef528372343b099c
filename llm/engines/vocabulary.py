"""A tokenizer of transformers as engines use it: ids → text, and the tokens of prompts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from llm.engines.torch_citations import CitationMasks
from llm.prompt_encoding import PromptEncoder
from llm.text_stream import token_texts
from llm.types import Message, PromptToken


class Vocabulary:
    """Encodes prompts and decodes ids. Thread-safe.

    Raises:
        UnsupportedError: the tokenizer is not backed by `tokenizers`.
    """

    def __init__(self, tokenizer: Any, *, encoder_decoder: bool = False) -> None:
        self._tokenizer = tokenizer
        self.prompts = PromptEncoder(tokenizer, encoder_decoder=encoder_decoder)
        self.n_tokens = len(tokenizer)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of some ids, without special tokens unless they are asked for."""
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
        )
        return str(text)

    def citation_masks(self, end_ids: Sequence[int]) -> CitationMasks:
        """The citation rule for these tokens, of which `end_ids` end a text."""
        return CitationMasks(self.decode, self.prompts.encode_text("x"), end_ids, self.n_tokens)

    def decode_one(self, token_id: int) -> str:
        """The text of one id, special or not."""
        return str(self._tokenizer.decode([token_id]))

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[PromptToken, ...]:
        """The tokens of a whole prompt; special tokens of the template are named."""
        ids = self.prompts.encode_prompt(messages)
        texts = token_texts(partial(self.decode, skip_special_tokens=False), ids)
        return tuple(PromptToken(text=text, token_id=token_id) for text, token_id in zip(texts, ids, strict=True))
