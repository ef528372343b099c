"""A service of its own for a benchmark, once it is ready."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from api.connect import client_for
from api.serve import running
from api.settings import Settings


@contextlib.contextmanager
def ready_service(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """The running service and its owner's HTTP client, everything loaded; both end with the block."""
    with running(settings) as service, client_for(service.address, service.token) as http:
        while http.get("/readyz").status_code != 200:
            time.sleep(0.2)
        yield service, http
