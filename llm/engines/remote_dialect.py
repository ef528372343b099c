"""What each server understands beyond OpenAI's own parameters, and how it says which server it is.

`GET /models` has `owned_by` for that. What a server does not know is refused here (`UnsupportedError`), not dropped:
an answer that was drawn in another way than asked for is worse than none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llm.errors import ModelNotFoundError, RemoteError, UnsupportedError
from llm.types import Message, Request, SamplingParams

_MAX_STOPS = 4  # of OpenAI's dialect; all of them are watched for here as well
_MAX_LISTED = 8
_PENALTY_WINDOW = 4096  # tokens that a repetition penalty looks back where the context is not known
_BANNED = -100  # the least bias of OpenAI's dialect: the token is as good as impossible


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKind:
    """One family of servers."""

    engine: str  # for people
    off: Mapping[str, Any]  # its names for top_k, min_p and the penalty, each with the value that switches it off
    top_k: str | None = None
    min_p: str | None = None
    repetition_penalty: str | None = None
    penalty_window: str | None = None  # its name for how far the penalty looks back, where that is not all the way
    more: Mapping[str, Any]  # sent with every request
    takes_bias: bool  # obeys `logit_bias`
    takes_rules: bool = False  # obeys `reluctance` and `n_markers`, and tells `opening_probability`

    @property
    def unsupported(self) -> frozenset[str]:
        """Fields of `SamplingParams` that it has no name for."""
        named = {"top_k": self.top_k, "min_p": self.min_p, "repetition_penalty": self.repetition_penalty}
        return frozenset({"num_beams", *(field for field, name in named.items() if name is None)})


# Sent even where they are off: vLLM and SGLang else take a model's own generation defaults, llama.cpp its top_k 40.
_VLLM = ServerKind(
    engine="vllm",
    top_k="top_k",
    min_p="min_p",
    repetition_penalty="repetition_penalty",
    off={"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    more={},
    takes_bias=True,
)
KINDS: Mapping[str, ServerKind] = {
    "vllm": _VLLM,
    "sglang": ServerKind(
        engine="sglang",
        top_k="top_k",
        min_p="min_p",
        repetition_penalty="repetition_penalty",
        off=_VLLM.off,
        more={},
        takes_bias=True,
    ),
    "llamacpp": ServerKind(
        engine="llama.cpp",
        top_k="top_k",
        min_p="min_p",
        repetition_penalty="repeat_penalty",
        off={"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
        # The order of `llm.sampling`; its own puts the temperature last.
        more={"samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"]},
        penalty_window="repeat_last_n",
        takes_bias=True,
    ),
    "citebound": ServerKind(
        engine="citebound",
        top_k="top_k",
        min_p="min_p",
        repetition_penalty="repetition_penalty",
        off={"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0},
        more={},
        takes_bias=False,
        takes_rules=True,
    ),
    "library": ServerKind(engine="ollama", off={}, more={}, takes_bias=False),
}
OTHER = ServerKind(engine="openai", off={}, more={}, takes_bias=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The model that a server was found to have."""

    name: str  # as the server calls it
    kind: ServerKind
    context_tokens: int | None  # None where the server does not say


def served_model(listed: Any, wanted: str | None, host: str) -> Served:
    """The wanted model, or the only one, of the answer to `GET /models`.

    Raises:
        ModelNotFoundError: it is not there, or none was named and there are several.
        RemoteError: that is no list of models.
    """
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise RemoteError(f"{host} does not list its models in OpenAI's dialect; the address usually ends with /v1")
    names = [row["id"] for row in rows]
    told = ", ".join(repr(name[:100]) for name in names[:_MAX_LISTED]) or "none"
    told += " and more" if len(names) > _MAX_LISTED else ""
    if wanted is None:
        if len(rows) != 1:
            raise ModelNotFoundError(f"name a model of {host} after a # in its address; it lists {told}")
        return _served(rows[0])
    for row in rows:
        aliases = row.get("aliases")
        known = [row["id"], row["id"].removesuffix(":latest"), *(aliases if isinstance(aliases, list) else [])]
        if wanted in known:
            return _served(row)
    raise ModelNotFoundError(f"{host} has no model {wanted!r}; it lists {told}")


def _served(row: dict[str, Any]) -> Served:
    kind = KINDS.get(str(row.get("owned_by")), OTHER)
    meta = row.get("meta")
    told = [row.get("max_model_len"), row.get("context_tokens"), meta.get("n_ctx") if isinstance(meta, dict) else None]
    sizes = [size for size in told if isinstance(size, int) and not isinstance(size, bool) and size > 0]
    return Served(name=row["id"], kind=kind, context_tokens=sizes[0] if sizes else None)


def chat_body(
    served: Served,
    messages: Sequence[Message],
    sampling: SamplingParams,
    *,
    with_probabilities: bool,
    n_alternatives: int = 0,
    without_token: int | None = None,
) -> dict[str, Any]:
    """The request; `without_token` is an id that must not be chosen, `n_alternatives` are told beside each token.

    Raises:
        UnsupportedError: a parameter is set that the server has no name for.
    """
    kind, default = served.kind, SamplingParams()
    for field in sorted(kind.unsupported):
        if getattr(sampling, field) != getattr(default, field):
            raise UnsupportedError(
                f"the server of {served.name} ({kind.engine}) takes no {field}; leave it at {getattr(default, field)}"
            )
    body: dict[str, Any] = {
        "model": served.name,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
        **kind.off,
        **kind.more,
    }
    for field, name in (("top_k", kind.top_k), ("min_p", kind.min_p), ("repetition_penalty", kind.repetition_penalty)):
        if name is not None and getattr(sampling, field) != getattr(default, field):
            body[name] = getattr(sampling, field)
    if kind.penalty_window is not None and sampling.repetition_penalty != default.repetition_penalty:
        body[kind.penalty_window] = served.context_tokens or _PENALTY_WINDOW
    if sampling.seed is not None:
        body["seed"] = sampling.seed % 2**31  # llama.cpp's have 32 bits
    if sampling.stop:
        body["stop"] = list(sampling.stop[:_MAX_STOPS])
    if with_probabilities:
        body["logprobs"] = True
        if n_alternatives and kind.takes_bias:  # elsewhere there is no use for them
            body["top_logprobs"] = n_alternatives
    if without_token is not None:
        body["logit_bias"] = {str(without_token): _BANNED}
    return body


def rules_of(served: Served, request: Request) -> dict[str, Any]:
    """What the request asks for beyond sampling, as another Citebound reads it; nothing for other servers."""
    if not served.kind.takes_rules:
        return {}
    rules: dict[str, Any] = {}
    if request.reluctance is not None:
        rules["reluctance"] = asdict(request.reluctance)
    if request.n_markers is not None:
        rules["n_markers"] = request.n_markers
    return rules
