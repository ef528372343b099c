"""Errors of the decoder side.

LlmError
├── ModelNotFoundError       no source has a model of that name
├── ModelIntegrityError      a file's SHA-256 is not the pinned one
├── UnsafeModelError         pickle weights, remote code, an unchecked GGUF
├── DownloadError            a source could not be reached or broke off
├── PromptTooLongError       the prompt does not fit the model's context
├── UnsupportedError         the engine lacks what was asked (see `Capabilities`)
├── RemoteError              a remote decoder refused the request, or its answer cannot be used
│   └── RemoteUnavailableError  it cannot be reached, is overloaded, or broke off
├── InvalidTrainingDataError training data or a checkpoint cannot be used
├── TrainingStoppedError     Ctrl-C; what was learned is kept
└── CancelledError           the caller cancelled the request
"""


class LlmError(Exception):
    """Base of every error raised by `llm`; the message says what to do."""


class ModelNotFoundError(LlmError):
    """No source has a model of that name."""


class ModelIntegrityError(LlmError):
    """A file's SHA-256 differs from the pinned one; the message names both."""


class UnsafeModelError(LlmError):
    """The weights are of a kind that can run code (pickle, remote code) and are refused."""


class DownloadError(LlmError):
    """A source could not be reached, or the transfer broke off."""


class PromptTooLongError(LlmError):
    """The prompt plus the room for the answer exceeds the model's context."""


class UnsupportedError(LlmError):
    """The engine lacks the capability that was asked for."""


class RemoteError(LlmError):
    """A remote decoder refused the request, or answered with what cannot be used."""


class RemoteUnavailableError(RemoteError):
    """A remote decoder cannot be reached, has no room, said nothing for too long, or broke off."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds  # when it said so itself


class TrainingStoppedError(LlmError):
    """Somebody stopped a training; its last step is kept in a checkpoint."""


class CancelledError(LlmError):
    """The request was cancelled by its caller."""


class InvalidTrainingDataError(LlmError):
    """Training data or a checkpoint cannot be used; the message names the line or the folder."""
