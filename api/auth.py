"""Who may ask. One function decides, called as a dependency by every route; nothing is decided by a path."""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from api.errors import ForbiddenError, UnauthorizedError
from rag.catalog.keys import Keys

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str | None) -> bool:
    """Whether an address is this machine's own; `testclient`-like names are not."""
    if host is None:
        return False
    try:
        address = ipaddress.ip_address(host.split("%", 1)[0])
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _name_and_port(authority: str, scheme: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        return None
    if parts.hostname is None or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname, port if port is not None else _DEFAULT_PORTS.get(scheme)


def _bearer(request: Request) -> str:
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


class Gate:
    """Decides about each request.

    With no active key the service is for programs of this machine: the peer must be loopback, the Host its own
    name and port (against DNS rebinding), and an Origin, where a browser sends one, its own. With keys, a Bearer
    key is required where `needs_key`. The owner token of the data folder counts as a key.

    Args:
        keys: The stored keys.
        token: The owner token; whoever can read the data folder has it.
        host: The address the service listens on; a valid Host as well.
    """

    def __init__(self, keys: Keys, token: str, host: str) -> None:
        self._keys = keys
        self._token = token
        self._names = _LOOPBACK_NAMES | ({host.lower()} if is_loopback(host) else set())

    def check_owner(self, request: Request) -> None:
        """Let the request pass only with the owner token: for what is the command line's alone.

        Raises:
            UnauthorizedError: it does not carry the token.
        """
        if not self._is_owner(_bearer(request)):
            raise UnauthorizedError(
                "this is for the command line on the machine of the data folder; see citebound --help"
            )

    def check(self, request: Request, *, needs_key: bool) -> str:
        """Let the request pass or say why not.

        Returns:
            Who asks, as far as fairness and limits go: the id of the key, "owner" or "local".

        Raises:
            UnauthorizedError: keys are configured and none, or a wrong one, was sent.
            ForbiddenError: no key is configured and the request does not come from this machine for this service.
        """
        given = _bearer(request)
        if self._is_owner(given):
            return "owner"
        if self._keys.any_active():
            key = self._keys.verify(given) if given else None
            if key is not None:
                return key.key_id
            if needs_key:
                raise UnauthorizedError(
                    "this key is not known; make one with citebound keys add"
                    if given
                    else "send a key as Authorization: Bearer KEY; make one with citebound keys add"
                )
            return "local"
        self._check_local(request)
        return "local"

    def _is_owner(self, given: str) -> bool:
        return bool(given) and hmac.compare_digest(given.encode(), self._token.encode())

    def _check_local(self, request: Request) -> None:
        if request.client is None or not is_loopback(request.client.host):
            raise ForbiddenError("no key is configured, so only this machine may ask; make one with citebound keys add")
        server = request.scope.get("server")
        port = server[1] if server else None
        own = _name_and_port(request.headers.get("host", ""), request.url.scheme)
        if own is None or own[0] not in self._names or own[1] != port:
            raise ForbiddenError("the Host header does not name this service; use the address it printed at start")
        origin = request.headers.get("origin")
        if origin is not None:
            scheme, _, authority = origin.partition("://")
            if scheme not in _DEFAULT_PORTS or _name_and_port(authority, scheme) != own:
                raise ForbiddenError("another site's page may not use this service")
