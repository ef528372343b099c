"""Example bodies of OpenAI's dialect, shown in the API's documentation."""

from typing import Any

from api.routes.examples import ANSWER

CHAT_BODY: dict[str, Any] = {
    "model": "SmolLM2-135M-Instruct",
    "messages": [{"role": "user", "content": "Name a colour."}],
    "max_tokens": 32,
}
RAG_BODY: dict[str, Any] = {
    "model": "rag:default",
    "messages": [{"role": "user", "content": "How long is parental leave?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl_5f0c7d1e2b3a49586877665544332211",
    "object": "chat.completion",
    "created": 1768469400,
    "model": "rag:default",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER["text"], "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 412, "completion_tokens": 14, "total_tokens": 426},
    "citations": ANSWER["citations"],
    "answer_id": ANSWER["answer_id"],
    "abstained": False,
}
EMBEDDINGS_BODY: dict[str, Any] = {"model": "all-MiniLM-L6-v2", "input": ["parental leave", "second class"]}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0173, -0.0441, 0.0302]}],
    "model": "all-MiniLM-L6-v2@c9745ed1d9f2",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
MODEL: dict[str, Any] = {
    "id": "SmolLM2-135M-Instruct",
    "object": "model",
    "created": 1768469400,
    "owned_by": "citebound",
}
MODELS: dict[str, Any] = {"object": "list", "data": [MODEL, {**MODEL, "id": "rag:default"}]}
ERROR: dict[str, Any] = {
    "error": {
        "message": "there is no model of that name; GET /v1/models lists them",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
}
