"""A small server whose answers a test writes byte by byte."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from llm.engines.remote import RemoteDecoder, connect
from llm.engines.remote_address import parse_address
from llm.engines.remote_tokens import Counter, Estimate

Answer = bytes | Callable[["Connection"], None]


@dataclass
class Connection:
    """One request and the way back."""

    socket: socket.socket
    path: str
    headers: dict[str, str]
    body: Any
    closed_by_client: threading.Event = field(default_factory=threading.Event)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait_until_closed(self, seconds: float = 10.0) -> None:
        """Until the client has hung up."""
        self.socket.settimeout(seconds)
        if self.socket.recv(1) == b"":
            self.closed_by_client.set()


def head(status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
    named = {"content_type": "text/event-stream", **headers}
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def plain(value: Any, status: int = 200, **headers: str) -> bytes:
    return head(status, content_type="application/json", **headers) + json.dumps(value).encode()


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}
    return f"data: {json.dumps(body)}\n\n".encode()


def logprobs(*tokens: tuple[str, float], ids: bool = False) -> dict[str, Any]:
    rows = [
        {"token": text, "logprob": value, **({"id": number} if ids else {})}
        for number, (text, value) in enumerate(tokens, 7)
    ]
    return {"content": rows}


def usage(n_prompt: int) -> bytes:
    return f'data: {{"choices": [], "usage": {{"prompt_tokens": {n_prompt}, "completion_tokens": 1}}}}\n\n'.encode()


DONE = b"data: [DONE]\n\n"
MODELS: dict[str, Any] = {"data": [{"id": "small", "owned_by": "vllm", "max_model_len": 512}]}
YES = head() + chunk("Yes", logprobs=logprobs(("Yes", -0.1))) + chunk(finish="length") + DONE


@dataclass
class Server:
    """Gives the answers in turn; the last one again and again."""

    answers: list[Answer] = field(default_factory=list)
    models: Answer = field(default_factory=lambda: plain(MODELS))
    seen: list[Connection] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0
    probed: bool = False  # the first chat is the client's question of one token

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Connection]:
        """The requests of a test, without the question of one token that finds out what the server tells."""
        asked = [one for one in self.seen if one.path.endswith("/chat/completions")]
        return [one for one in asked if one.body["max_tokens"] > 1]

    def _next(self, path: str) -> Answer:
        with self.lock:
            self.at.append(time.monotonic())
            if not path.endswith("/chat/completions"):
                return self.models
            if not self.probed:
                self.probed = True
                return YES
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def handle(self, client: socket.socket) -> None:
        with client:
            raw = b""
            while b"\r\n\r\n" not in raw:
                piece = client.recv(65536)
                if not piece:
                    return
                raw += piece
            top, _, body = raw.partition(b"\r\n\r\n")
            first, *lines = top.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            while len(body) < int(headers.get("content-length", "0")):
                body += client.recv(65536)
            connection = Connection(client, first.split()[1], headers, json.loads(body) if body else None)
            self.seen.append(connection)
            answer = self._next(connection.path)
            try:
                client.sendall(answer) if isinstance(answer, bytes) else answer(connection)
            except OSError:
                connection.closed_by_client.set()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=made.handle, args=(client,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(timeout=10)
    for thread in threads:
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """What answers are made of."""
    return SimpleNamespace(
        head=head, plain=plain, chunk=chunk, logprobs=logprobs, usage=usage, DONE=DONE, MODELS=MODELS
    )


@pytest.fixture
def remote(server: Server) -> Iterator[Callable[..., RemoteDecoder]]:
    """Connects to the server, or to another address."""
    opened: list[RemoteDecoder] = []

    def make(
        *answers: Answer,
        url: str | None = None,
        key: str | None = None,
        timeout: float = 10.0,
        counter: Counter | None = None,
        context: int | None = None,
        parallel: int = 8,
        answers_probe: bool = True,  # False: the first of `answers` is the answer to the first question as well
    ) -> RemoteDecoder:
        server.answers, server.probed = list(answers), not answers_probe
        decoder = connect(
            parse_address(url or server.url),
            api_key=key,
            counter=counter or Estimate(),
            context_tokens=context,
            timeout_seconds=timeout,
            max_parallel=parallel,
        )
        opened.append(decoder)
        return decoder

    yield make
    for decoder in opened:
        decoder.close()
