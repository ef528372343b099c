"""The client, a document to ask about, and a way to change the decoder."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from api.serve import Running
from llm.types import Decoder


@pytest.fixture(scope="module")
def ai(service: Running, client: httpx.Client) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.address}/v1", api_key="none", max_retries=0, timeout=60) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def document(client: httpx.Client, upload: Callable[..., dict[str, Any]], handbook: str) -> dict[str, Any]:
    return upload(client, "handbook.md", handbook, collection="handbook")


@pytest.fixture
def loaded(service: Running, client: httpx.Client) -> Iterator[Callable[[Decoder], None]]:
    """Puts another decoder in place for one test."""
    before: Decoder = service.parts.decoder.get()
    yield lambda decoder: service.parts.decoder.make(lambda: decoder) and None
    service.parts.decoder.make(lambda: before)
