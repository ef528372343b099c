"""The models that clients of OpenAI's dialect can name."""

from typing import Any

from api.openai.chat import RAG_PREFIX
from api.parts import Parts


def list_models(parts: Parts) -> list[dict[str, Any]]:
    """The decoder and the embedder, once they are loaded, and a `rag:` model for each collection. Reads the catalog."""
    parts.begin()
    decoder, embedder = parts.decoder.peek(), parts.embedder.peek()
    names = [part for part in (decoder and decoder.info.name, embedder and embedder.name) if part]
    names += [f"{RAG_PREFIX}{row.name}" for row in parts.catalog.documents.collections()]
    created = int(parts.now().timestamp())
    return [{"id": name, "object": "model", "created": created, "owned_by": "citebound"} for name in names]
