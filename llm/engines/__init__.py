"""One file an engine, each behind `llm.types.Decoder`."""
