"""What every decoder that runs here does alike: it knows its tokens and reads given continuations in one pass."""

from collections.abc import Sequence

from llm.engines.torch_teacher import Teacher
from llm.engines.vocabulary import Vocabulary
from llm.types import Cancel, Message, ModelInfo, PromptToken, SamplingParams, ScoredToken, TokenDistribution


class LocalDecoder:
    """The part of `llm.types.Decoder` that needs no generation. An engine sets what is declared here."""

    vocabulary: Vocabulary
    _info: ModelInfo
    _teacher: Teacher

    @property
    def info(self) -> ModelInfo:
        """Name, engine, device, precision and context length."""
        return self._info

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        """Log-probability of each token of each continuation; an empty continuation has none.

        Raises:
            PromptTooLongError: a prompt and its continuation do not fit the context.
        """
        return self._teacher.score(prompts, continuations)

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        *,
        n_alternatives: int = 10,
        sampling: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[TokenDistribution, ...]:
        """The distribution behind each of `token_ids` after `prompt`, in one pass; see `llm.types.Decoder`.

        Raises:
            PromptTooLongError: they do not fit the context.
            ValueError: an id is not in the vocabulary, or `n_alternatives` is negative.
            CancelledError: `cancel` was set.
        """
        return self._teacher.distribution(prompt, token_ids, n_alternatives, sampling, cancel or Cancel())

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[PromptToken, ...]:
        """The tokens of a whole prompt; special tokens of the template are named."""
        return self.vocabulary.encode_prompt(messages)

    def count_tokens(self, text: str) -> int:
        """Tokens of a plain text."""
        return len(self.vocabulary.prompts.encode_text(text))

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt with the chat template around it."""
        return len(self.vocabulary.prompts.encode_prompt(messages))
