"""The catalog: documents, versions, passages with their vectors, jobs, answers, keys; the source of truth."""
