"""Remote decoders: any server of OpenAI's chat completions (vLLM, SGLang, llama.cpp, Ollama, another Citebound).

The server batches and caches prefixes; here every request is a stream of its own, all of them at once. What the
dialect cannot carry is not there: scoring given texts, whole distributions, beam search, the citation rule. A
`Reluctance` is obeyed where the server tells ids and log-probabilities and takes a bias; elsewhere it is passed over.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import structlog

from llm.engines.remote_address import RemoteAddress
from llm.engines.remote_channel import Channel
from llm.engines.remote_dialect import Served, chat_body, served_model
from llm.engines.remote_reply import Reply
from llm.engines.remote_stream import CHAT_PATH, RemoteStream
from llm.engines.remote_tokens import Counter
from llm.errors import PromptTooLongError, RemoteError, RemoteUnavailableError, UnsupportedError
from llm.types import (
    Cancel,
    Capabilities,
    Generation,
    Message,
    ModelInfo,
    PromptToken,
    Request,
    SamplingParams,
    ScoredToken,
    Token,
    TokenDistribution,
)

ASSUMED_CONTEXT_TOKENS = 4096  # where neither the server nor the settings say; Ollama's default
_log = structlog.get_logger(__name__)


class RemoteDecoder:
    """`llm.types.Decoder` over HTTP. Thread-safe; `close` it when it is not needed any more.

    Args:
        channel: The connection.
        host: The server, for messages.
        served: The model there.
        counter: Counts tokens here.
        context_tokens: What prompt and answer may have together.
        tells_probabilities: Whether the server gives log-probabilities.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        host: str,
        served: Served,
        counter: Counter,
        context_tokens: int,
        tells_probabilities: bool,
    ) -> None:
        self._channel = channel
        self._host = host
        self._served = served
        self._counter = counter
        self._tells_probabilities = tells_probabilities
        self._info = ModelInfo(
            name=served.name,
            engine=served.kind.engine,
            device="remote",
            dtype="unknown",
            context_tokens=context_tokens,
        )

    @property
    def info(self) -> ModelInfo:
        """The model's name on the server, the kind of server as engine, and the context length."""
        return self._info

    @property
    def capabilities(self) -> Capabilities:
        """Streams and batches; probabilities where the server gives them."""
        return Capabilities(
            beam_search=False,
            scoring=False,
            distribution=False,
            token_probabilities=self._tells_probabilities,
            citation_rule=self._served.kind.takes_rules,
            unsupported_sampling=self._served.kind.unsupported,
        )

    def close(self) -> None:
        """Break off what is under way and end the connection's thread."""
        self._channel.close()

    def generate(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        """Every request at once; see `llm.types.Decoder`.

        Raises:
            As `stream`.
        """
        streams = [self._open(request) for request in requests]
        try:
            for stream in streams:
                stream.send()
            return tuple(_last(stream.events()) for stream in streams)
        finally:
            for stream in streams:
                stream.close()

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        """Yield each token as it comes and, last, the Generation; closing the iterator closes the connection.

        Raises:
            PromptTooLongError: prompt and `max_new_tokens` exceed the context, by the count here or by the server's.
            UnsupportedError: the server has no name for a parameter that is set.
            RemoteError: at the first or a later token: the server failed; see `llm.errors`.
        """
        return self._open(request).events()

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        """Raise `UnsupportedError`: chat completions do not score given texts."""
        raise UnsupportedError(f"{self._served.name} is a remote decoder, which scores no texts; use a local one")

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        *,
        n_alternatives: int = 10,
        sampling: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[TokenDistribution, ...]:
        """Raise `UnsupportedError`: chat completions do not tell whole distributions."""
        raise UnsupportedError(
            f"{self._served.name} is a remote decoder, which tells no distributions; take a local one"
        )

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[PromptToken, ...]:
        """The tokens of a whole prompt.

        Raises:
            UnsupportedError: there is no tokenizer here.
        """
        return self._counter.encode_prompt(messages)

    def count_tokens(self, text: str) -> int:
        """Tokens of a plain text, estimated where there is no tokenizer here."""
        return self._counter.count(text)

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt, estimated where there is no tokenizer here."""
        return self._counter.count_prompt(messages)

    def _open(self, request: Request) -> RemoteStream:
        n_prompt = self._counter.count_prompt(request.messages)
        if n_prompt + request.sampling.max_new_tokens > self._info.context_tokens:
            raise PromptTooLongError(
                f"the prompt has {n_prompt} tokens and max_new_tokens {request.sampling.max_new_tokens}, but "
                f"{self._info.name} reads {self._info.context_tokens}; shorten the prompt or ask for fewer tokens"
            )
        return RemoteStream(
            channel=self._channel,
            host=self._host,
            served=self._served,
            counter=self._counter,
            request=request,
            n_prompt_tokens=n_prompt,
            with_probabilities=self._tells_probabilities,
        )


def connect(
    address: RemoteAddress,
    *,
    api_key: str | None,
    counter: Counter,
    context_tokens: int | None,
    timeout_seconds: float,
    max_parallel: int,
) -> RemoteDecoder:
    """Find the model on its server, and whether log-probabilities are given there, by asking for one token.

    Args:
        address: The server and the model.
        api_key: For that server alone.
        counter: Counts tokens here.
        context_tokens: What prompt and answer may have together; None asks the server.
        timeout_seconds: Longest silence of the server while it is answering.
        max_parallel: Requests under way at once.

    Raises:
        ModelNotFoundError: the server has no such model.
        RemoteError: it cannot be reached, refuses the key, or does not speak the dialect.
    """
    if api_key and not (address.is_secure or address.is_here):
        _log.warning("key_in_clear", host=address.host, hint="the key travels unencrypted; use https")
    channel = Channel(address, api_key=api_key, timeout_seconds=timeout_seconds, max_parallel=max_parallel)
    try:
        served = served_model(channel.get("/models"), address.model, address.host)
        tells = _tells_probabilities(channel, address.host, served)
    except BaseException:
        channel.close()
        raise
    told = context_tokens or served.context_tokens or ASSUMED_CONTEXT_TOKENS
    _log.info(
        "remote_decoder",
        host=address.host,
        model=served.name,
        engine=served.kind.engine,
        context_tokens=told,
        tells_probabilities=tells,
    )
    return RemoteDecoder(
        channel, host=address.host, served=served, counter=counter, context_tokens=told, tells_probabilities=tells
    )


def _tells_probabilities(channel: Channel, host: str, served: Served) -> bool:
    """Ask for one token with its log-probability; a server that refuses that is asked without."""
    messages, sampling = (Message(role="user", content="Say yes."),), SamplingParams(max_new_tokens=1)
    for wanted in (True, False):
        body, reply = chat_body(served, messages, sampling, with_probabilities=wanted), Reply(host, ())
        try:
            pieces = [piece for _, chunk in channel.stream(CHAT_PATH, body, Cancel()) for piece in reply.read(chunk)]
        except RemoteUnavailableError:
            raise
        except RemoteError:
            if not wanted:
                raise
            continue
        return wanted and any(piece.probability is not None for piece in pieces)
    return False


def _last(events: Iterator[Token | Generation]) -> Generation:
    last = deque(events, maxlen=1).pop()
    assert isinstance(last, Generation)
    return last
