"""Where a remote decoder is: `https://host:port/v1#model`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from llm.errors import UnsupportedError

_EXAMPLE = "http://127.0.0.1:8000/v1#NAME"


def is_address(name: str) -> bool:
    """Whether the name of a decoder is the address of a remote one."""
    return name.lower().startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAddress:
    """A server of OpenAI's dialect and the model there."""

    base_url: str  # without a slash at the end
    host: str  # with the port where one was given; for messages
    model: str | None  # None: the only one that the server has
    is_secure: bool
    is_here: bool  # on this machine: nothing travels


def parse_address(text: str) -> RemoteAddress:
    """Take an address apart; without a path it is that of `/v1`.

    Raises:
        UnsupportedError: it is no HTTP address, or holds a name and password, or a query.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UnsupportedError(f"the address of the remote decoder cannot be read; write it like {_EXAMPLE}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query:
        raise UnsupportedError(f"the address of the remote decoder must look like {_EXAMPLE}")
    if parts.username is not None or parts.password is not None:
        raise UnsupportedError("a key does not belong into the address of a decoder; set decoder_api_key instead")
    name = f"[{host}]" if ":" in host else host
    name += f":{port}" if port is not None else ""
    path = parts.path.rstrip("/") or "/v1"
    return RemoteAddress(
        base_url=f"{parts.scheme}://{name}{path}",
        host=name,
        model=unquote(parts.fragment) or None,
        is_secure=parts.scheme == "https",
        is_here=host in ("localhost", "127.0.0.1", "::1"),
    )
