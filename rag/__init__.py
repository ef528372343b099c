"""The core: what ingest writes and a question reads."""
