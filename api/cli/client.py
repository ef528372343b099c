"""Speaking to the owner of a data folder over HTTP: to the one that serves it, or to one started for the moment."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx

from rag.errors import CiteboundError

WAIT_SECONDS = 600.0  # for a model that is being fetched and loaded


class ServiceError(CiteboundError):
    """The service refused a request; the message is its own sentence."""

    def __init__(self, message: str, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.body = body


class Client:
    """The HTTP interface with errors as exceptions."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON that the service answers.

        Raises:
            ServiceError: it answered with an error.
        """
        response = self._http.request(method, path, **request)
        if response.is_error:
            raise _refused(response)
        return response.json()

    def text(self, path: str) -> str:
        """The text at an address.

        Raises:
            ServiceError: it answered with an error.
        """
        response = self._http.get(path)
        if response.is_error:
            raise _refused(response)
        return response.content.decode()

    def events(self, path: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """POST and read server-sent events as (name, data)."""
        with self._http.stream("POST", path, json=body) as response:
            if response.is_error:
                response.read()
                raise _refused(response)
            name = "message"
            for line in response.iter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    yield name, json.loads(line[5:])

    def save(self, path: str, target: Path) -> int:
        """Stream a response into a file that must not exist yet (mode 0600); returns its bytes."""
        n_bytes = 0
        with self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
                raise _refused(response)
            with target.open("xb") as file:
                target.chmod(0o600)
                for chunk in response.iter_bytes(1 << 20):
                    n_bytes += file.write(chunk)
        return n_bytes

    def wait_until_ready(self, on_wait: Any = None) -> None:
        """Return once questions can be taken.

        Raises:
            ServiceError: it said why it cannot, and that will not change by waiting, or the time is up.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            response = self._http.get("/readyz")
            if response.status_code == 200:
                return
            reason = str(response.json().get("detail", "the service is not ready"))
            if time.monotonic() > deadline or "could not" in reason:
                raise ServiceError(reason, {})
            if on_wait:
                on_wait(reason)
            time.sleep(0.2)


class WaitNotice:
    """Says why it is still waited: over the same line on a terminal, elsewhere once for each reason."""

    def __init__(self) -> None:
        self._said: str | None = None

    def __call__(self, reason: str) -> None:
        """Hear the reason of this moment."""
        if sys.stderr.isatty():
            click.echo(f"\r{reason[:100]:<100}\r", nl=False, err=True)
        elif reason != self._said:
            click.echo(reason, err=True)
        self._said = reason


def checked_id(given: str, listed_by: str) -> str:
    """An id as it was given.

    Raises:
        ServiceError: it cannot be one: it is empty or a path.
    """
    if not given.strip() or "/" in given:
        raise ServiceError(f"{given!r} is no id; {listed_by} shows them", {"code": "not_found"})
    return given


def _refused(response: httpx.Response) -> ServiceError:
    try:
        body = response.json()
    except ValueError:
        body = {}
    return ServiceError(str(body.get("detail") or f"the service answered {response.status_code}"), body)


@contextmanager
def client_of(data_dir: Path | None, *, decoder: bool = False, judge: bool = False) -> Iterator[Client]:
    """A client of whoever owns the data folder; with no owner, of a service started in this process for the moment.

    Args:
        data_dir: The folder; None takes the settings' one.
        decoder: Whether a service that is started here needs its decoder.
        judge: Whether a service that is started here needs its judge.
    """
    from api.connect import connect
    from api.logs import configure_logs
    from api.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    with connect(settings, decoder=decoder, judge=judge) as http:
        yield Client(http)
