"""Errors of the core; `api.errors` maps each to one HTTP status and one stable code.

CiteboundError                     code
├── NotFoundError                  not_found     unknown document, version, page, answer, job, key
│   └── NoPagesError               no_pages      the format has no pages
├── ConflictError                  conflict      the state forbids it (retry of what did not fail)
│   └── DuplicateError             duplicate     same bytes, same collection, on_duplicate=error
├── InvalidInputError              invalid       a value that cannot be used; says what can
│   └── InvalidFilterError         invalid_filter
├── DocumentError                  (its own)     a file that cannot be read; `code` and `page` say why
├── FolderOwnedError               folder_owned  another process owns the data folder; names its address
├── IndexMismatchError             index_mismatch  built with another embedder; run citebound reindex
├── StorageError                   storage       disk full or failing; nothing was acknowledged
└── NotReadyError                  not_ready     still starting, or a model is missing
"""


class CiteboundError(Exception):
    """Base of every error of ours above `llm`; the message is one sentence that says what to do."""

    code = "error"


class NotFoundError(CiteboundError):
    """Nothing has that id."""

    code = "not_found"


class NoPagesError(NotFoundError):
    """The document's format has no pages."""

    code = "no_pages"


class ConflictError(CiteboundError):
    """The present state forbids the request."""

    code = "conflict"


class DuplicateError(ConflictError):
    """The same bytes are in the collection already."""

    code = "duplicate"

    def __init__(self, message: str, *, document_id: str) -> None:
        super().__init__(message)
        self.document_id = document_id


class InvalidInputError(CiteboundError):
    """A value that cannot be used."""

    code = "invalid"


class InvalidFilterError(InvalidInputError):
    """A metadata filter that does not parse."""

    code = "invalid_filter"


class DocumentError(CiteboundError):
    """A file that cannot become passages.

    `code` is one of: empty, no_text, unsupported_type, too_large, encrypted, wrong_password, corrupt,
    bomb, timeout, out_of_memory, parser_crashed.
    """

    def __init__(self, code: str, message: str, *, page: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.page = page


class FolderOwnedError(CiteboundError):
    """Another process owns the data folder."""

    code = "folder_owned"


class IndexMismatchError(CiteboundError):
    """The stored vectors were made by another embedder than the settings ask for."""

    code = "index_mismatch"


class StorageError(CiteboundError):
    """The disk is full or failing; what was not acknowledged was not kept."""

    code = "storage"


class NotReadyError(CiteboundError):
    """The part that is needed is not up yet."""

    code = "not_ready"
