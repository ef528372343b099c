"""OpenAI's dialect of the HTTP interface: chat completions, embeddings and models for its clients."""
