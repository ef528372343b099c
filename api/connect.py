"""A client for whoever owns the data folder: the service that runs, or one started in this process for a moment."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from api.serve import running
from api.settings import Settings
from rag.catalog.folder import DataFolder, Owner
from rag.errors import FolderOwnedError

_POLL_SECONDS = 0.05
_TIMEOUT = httpx.Timeout(10.0, read=None, write=None)  # an answer takes what it takes


@contextmanager
def connect(
    settings: Settings, *, decoder: bool = False, judge: bool = False, wait_seconds: float = 10.0
) -> Iterator[httpx.Client]:
    """An HTTP client with the owner token, to the owner of `settings.data_dir` or to a service made for this purpose.

    Args:
        settings: Names the folder; where nobody owns it, also how to open it.
        decoder: Whether a service made here needs its decoder.
        judge: Whether a service made here needs its judge.
        wait_seconds: For an owner that is just starting or stopping.

    Raises:
        FolderOwnedError: the owner does not serve.
    """
    owner = _serving_owner(settings, wait_seconds)
    if owner is not None and owner.address is not None:
        with client_for(owner.address, owner.token or "") as client:
            yield client
        return
    own = settings.model_copy(update={"host": "127.0.0.1", "port": 0})
    with (
        running(own, decoder=decoder, judge=judge, lazy=True) as service,
        client_for(service.address, service.token) as client,
    ):
        yield client


def _serving_owner(settings: Settings, wait_seconds: float) -> Owner | None:
    deadline = time.monotonic() + wait_seconds
    while True:
        owner = DataFolder.owner(settings.data_dir)
        if owner is None or owner.address is not None:
            return owner
        if time.monotonic() >= deadline:
            raise FolderOwnedError(
                f"process {owner.pid} uses the data folder {settings.data_dir} without serving; wait for it or stop it"
            )
        time.sleep(_POLL_SECONDS)


def client_for(address: str, token: str) -> httpx.Client:
    """An HTTP client with the owner token; for use as a context manager."""
    return httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT, trust_env=False
    )
