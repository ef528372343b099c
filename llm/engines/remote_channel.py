"""HTTP to one server: on an event loop in a thread of its own, so that a waiting request can be broken off at once.

A request is tried again, after a pause, when the server could not be reached, had no room (429, 503) or a gateway
before it failed (502, 504): never once anything of the answer was given on. Redirects are not followed, so the key
goes nowhere else; proxies and `.netrc` are not asked.
"""

import asyncio
import json
import queue
import ssl
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import certifi
import httpx
import structlog

from llm.engines.remote_address import RemoteAddress
from llm.engines.remote_problems import problem_of
from llm.engines.remote_sse import events
from llm.errors import CancelledError, LlmError, RemoteError, RemoteUnavailableError, UnsupportedError
from llm.types import Cancel

CONNECT_SECONDS = 5.0
MAX_TRIES = 5
FIRST_PAUSE_SECONDS = 0.5  # doubled with each further try
MAX_PAUSE_SECONDS = 15.0  # a server that asks for more is not waited for: the caller is told
_POLL_SECONDS = 0.05  # between two looks at `cancel`
_MAX_BODY_BYTES = 8 << 20  # of an answer that does not stream
_MAX_PROBLEM_BYTES = 64 << 10
_AGAIN = frozenset({429, 502, 503, 504})

_log = structlog.get_logger(__name__)


class Call:
    """One streamed request under way; its events wait here until they are read."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[tuple[float, Any]] = queue.SimpleQueue()  # perf_counter, event or error or None
        self.task: Any = None  # a concurrent.futures.Future

    def __iter__(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """The events with the time of their arrival; closing the iterator closes the connection.

        Raises:
            CancelledError: `cancel` was set.
            RemoteError: the server failed; see `llm.errors`.
        """
        try:
            while True:
                at, item = self.inbox.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield at, item
        finally:
            self.close()

    def close(self) -> None:
        """Break the request off if it is still under way."""
        self.task.cancel()


class Channel:
    """The requests to one server. Thread-safe.

    Args:
        address: The server.
        api_key: Sent as a Bearer token to it alone, never logged.
        timeout_seconds: Longest silence of the server while it is answering, before the first token as well.
        max_parallel: Requests under way at once; others wait here.

    Raises:
        UnsupportedError: the key cannot be sent.
    """

    def __init__(
        self, address: RemoteAddress, *, api_key: str | None, timeout_seconds: float, max_parallel: int
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            headers=_headers(api_key),
            verify=_trust() if address.is_secure else False,
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=max_parallel),
            follow_redirects=False,
            trust_env=False,
        )
        self._slots = asyncio.Semaphore(max_parallel)
        self._n_pauses = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self, path: str, *, from_root: bool = False) -> Any:
        """The JSON of an address under that of the server, or under its root.

        Raises:
            RemoteError: the server failed, or answered with something else.
        """
        base = self._address.base_url
        if from_root:
            base = base[: base.index("/", base.index("//") + 2)]
        return self._run(self._get(base + path)).result()

    def stream(self, path: str, body: dict[str, Any], cancel: Cancel) -> Call:
        """Send a request now; its events are read from the returned call."""
        call = Call()
        call.task = self._run(self._pump(path, body, cancel, call))
        return call

    def close(self) -> None:
        """Break off what is under way and end the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="remote-decoder", daemon=True
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(self._client.aclose())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _get(self, url: str) -> Any:
        try:
            async with self._client.stream("GET", url) as response:
                body = await _read(response, _MAX_BODY_BYTES)
                if response.status_code != 200:
                    raise problem_of(self._address.host, response.status_code, response.headers, body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"{self._address.host} does not speak OpenAI's dialect: it sent no JSON") from error

    async def _pump(self, path: str, body: dict[str, Any], cancel: Cancel, call: Call) -> None:
        """Fill the call's inbox; the last item is None or an error."""
        last: BaseException | None = CancelledError("the request was cancelled")
        work = asyncio.ensure_future(self._tries(path, body, call))
        try:
            while not work.done() and not cancel.is_set:
                await asyncio.wait({work}, timeout=_POLL_SECONDS)
            if work.done():
                last = None
                work.result()
        except LlmError as error:
            last = error
        except asyncio.CancelledError:
            raise
        except Exception as error:
            last = RemoteError(f"the request to {self._address.host} failed ({type(error).__name__})")
            last.__cause__ = error
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await work
            call.inbox.put((time.perf_counter(), last))

    async def _tries(self, path: str, body: dict[str, Any], call: Call) -> None:
        for number in range(1, MAX_TRIES + 1):
            async with self._slots:
                problem = await self._once(path, body, call)
            if problem is None:
                return
            seconds = self._pause(number, problem.retry_after_seconds)
            if number == MAX_TRIES or seconds > MAX_PAUSE_SECONDS:
                raise problem
            _log.info("remote_decoder_again", host=self._address.host, number=number, seconds=round(seconds, 2))
            await asyncio.sleep(seconds)

    async def _once(self, path: str, body: dict[str, Any], call: Call) -> RemoteUnavailableError | None:
        """One try; what it returns may be gone with the next one, what it raises is not."""
        n_given = 0
        try:
            async with self._client.stream("POST", self._address.base_url + path, json=body) as response:
                if response.status_code != 200:
                    text = await _read(response, _MAX_PROBLEM_BYTES)
                    problem = problem_of(self._address.host, response.status_code, response.headers, text)
                    if response.status_code in _AGAIN and isinstance(problem, RemoteUnavailableError):
                        return problem
                    raise problem
                if "event-stream" not in response.headers.get("content-type", ""):
                    raise RemoteError(f"{self._address.host} does not stream; it is no server of OpenAI's dialect")
                async for data in events(_raw(response)):
                    if data == "[DONE]":
                        return None
                    call.inbox.put((time.perf_counter(), self._event(data)))
                    n_given += 1
                return None
        except httpx.ReadTimeout as error:
            raise RemoteUnavailableError(
                f"{self._address.host} said nothing for {self._timeout_seconds:g} s; it is overloaded, or "
                "decoder_timeout_seconds is too short for it"
            ) from error
        except httpx.HTTPError as error:
            problem = self._unreachable(error)
            if n_given:
                raise RemoteUnavailableError(
                    f"{self._address.host} broke off in the middle of its answer; ask again"
                ) from error
            return problem

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"{self._address.host} sent an event that is not JSON") from error
        if not isinstance(event, dict):
            raise RemoteError(f"{self._address.host} sent an event that is not a JSON object")
        if event.get("error"):
            raise problem_of(self._address.host, 200, {}, data.encode())
        return event

    def _pause(self, number: int, asked: int | None) -> float:
        """Seconds before the next try; spread, so that requests which failed together do not return together."""
        self._n_pauses += 1
        spread = (self._n_pauses * 0.618034) % 1  # the golden ratio's multiples cover 0..1 evenly
        own: float = FIRST_PAUSE_SECONDS * 2 ** (number - 1) * (0.75 + spread / 2)
        return own if asked is None else max(own, float(asked))

    def _unreachable(self, error: httpx.HTTPError) -> RemoteUnavailableError:
        if isinstance(error, httpx.ReadTimeout):
            return RemoteUnavailableError(f"{self._address.host} said nothing for {self._timeout_seconds:g} s")
        reason = "in time" if isinstance(error, httpx.ConnectTimeout) else f"({type(error).__name__})"
        return RemoteUnavailableError(
            f"the decoder at {self._address.host} cannot be reached {reason}; start it, or correct the address"
        )


def _headers(api_key: str | None) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # what comes is counted as it comes: nothing swells on unpacking
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()):
            raise UnsupportedError("decoder_api_key must consist of printable ASCII characters")
        headers["Authorization"] = f"Bearer {api_key}"
    return headers


def _trust() -> ssl.SSLContext:
    trust = ssl.create_default_context()
    trust.load_verify_locations(certifi.where())  # beside the system's own authorities, which a container may lack
    return trust


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise RemoteError("the remote decoder compresses its answers, though it was asked not to")
    async for piece in response.aiter_raw():
        yield piece


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, cut where it is longer; what is cut is no JSON any more."""
    body = b""
    async for piece in _raw(response):
        body += piece
        if len(body) > max_bytes:
            return body[:max_bytes]
    return body
