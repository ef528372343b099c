"""Runs the service: one process, one event loop, the address written where the command line finds it."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
import uvicorn

from api.app import build_app
from api.auth import is_loopback
from api.logs import configure_logs
from api.parts import Parts
from api.settings import Settings
from api.wiring import open_parts
from rag.errors import InvalidInputError

_log = structlog.get_logger(__name__)

_GRACE_SECONDS = 5  # for answers under way when the service is told to stop
_BACKLOG = 512
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service that runs in this process."""

    address: str  # http://HOST:PORT, reachable from this machine
    token: str  # the owner token: counts as a key
    parts: Parts


class _Server(uvicorn.Server):
    """uvicorn, which here tells open streams of its end and leaves the last word on signals to the caller."""

    def __init__(self, config: uvicorn.Config, parts: Parts, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._parts = parts
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: uvicorn waits for open connections."""
        self._parts.closing.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop in good order at SIGINT and SIGTERM; uvicorn's own raises them again before anything is closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(settings: Settings, *, on_started: Callable[[Running], None] = lambda running: None) -> None:
    """Serve until SIGINT or SIGTERM. Prints nothing; logs go to stderr.

    Args:
        settings: Everything else.
        on_started: Called on the event loop once connections are taken; the models may still be loading.

    Raises:
        FolderOwnedError: another process owns the data folder; the message has its address.
        InvalidInputError: the address cannot be listened on.
    """
    configure_logs(settings.log_level, settings.log_format)
    with _listen(settings) as listener, open_parts(settings) as parts:
        running = _announce(parts, listener)
        if not is_loopback(settings.host) and not parts.catalog.keys.any_active():
            _log.warning("no_key", hint="only this machine is answered until a key is made with citebound keys add")
        parts.sandbox.start()
        parts.begin()
        parts.comparing.start(parts)
        _server(parts, lambda: on_started(running)).run(sockets=[listener])
        _log.info("stopping")


@contextmanager
def running(settings: Settings, *, decoder: bool = True, judge: bool = True, lazy: bool = False) -> Iterator[Running]:
    """The service in threads of this process, for commands and tests; port 0 takes a free one.

    Args:
        settings: Everything else.
        decoder: False loads none: there is search and ingest, but no answers.
        judge: False loads none: nothing is verified.
        lazy: Load indexes and models with the first request that needs one, not at once.

    Raises:
        FolderOwnedError: another process owns the data folder; the message has its address.
        InvalidInputError: the address cannot be listened on.
    """
    with _listen(settings) as listener, open_parts(settings, decoder=decoder, judge=judge) as parts:
        here = _announce(parts, listener)
        if not lazy:
            parts.sandbox.start()
            parts.begin()
            parts.comparing.start(parts)
        started = threading.Event()
        server = _server(parts, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
        thread.start()
        try:
            if not started.wait(_START_SECONDS):
                raise InvalidInputError(f"the service did not start within {_START_SECONDS:.0f} s; see its log")
            yield here
        finally:
            server.should_exit = True
            thread.join()


def _server(parts: Parts, on_started: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        build_app(parts),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a forwarded address could claim to be this machine
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return _Server(config, parts, on_started)


def _announce(parts: Parts, listener: socket.socket) -> Running:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    parts.folder.set_address(address, parts.token)
    _log.info("listening", address=address)
    return Running(address=address, token=parts.token, parts=parts)


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidInputError(f"{settings.host} is not an address of this machine; choose another --host") from error
    with contextlib.closing(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            listener.listen(_BACKLOG)  # from here on callers wait; before the address is told they would be refused
        except OSError as error:
            raise InvalidInputError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another --port"
            ) from error
        yield listener
