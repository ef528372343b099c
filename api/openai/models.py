"""The models that clients of OpenAI's dialect can name."""

from typing import Any

from api.openai.chat import RAG_PREFIX
from api.parts import Parts


def list_models(parts: Parts) -> list[dict[str, Any]]:
    """The decoder and the embedder, once they are loaded, and a `rag:` model for each collection. Reads the catalog.

    `max_model_len`, as vLLM calls it, is what prompt and answer of the decoder may have together.
    """
    parts.begin()
    decoder, embedder = parts.decoder.peek(), parts.embedder.peek()
    created = int(parts.now().timestamp())

    def row(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": created, "owned_by": "citebound"}

    rows = [] if decoder is None else [{**row(decoder.info.name), "max_model_len": decoder.info.context_tokens}]
    rows += [] if embedder is None else [row(embedder.name)]
    return rows + [row(f"{RAG_PREFIX}{one.name}") for one in parts.catalog.documents.collections()]
