"""A decoder language model behind one protocol; knows nothing of documents or retrieval."""
