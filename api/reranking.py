"""The reranker of the settings, loaded with the first search that is to be reordered."""

import threading
from collections.abc import Callable

import structlog

from llm.errors import LlmError
from rag.errors import CiteboundError, InvalidInputError
from rag.rerank.reorder import Reranker

NONE = "none"  # how a comparison asks for the order of the search alone

_log = structlog.get_logger(__name__)


class Reranking:
    """The shipped reranker, whether searches use it by themselves or only where a comparison names it. Thread-safe.

    Args:
        name: of the shipped one; None where none is shipped.
        is_usual: whether searches use it.
        load: loads it; called once, or again where a comparison names it after that failed.
    """

    def __init__(self, name: str | None, *, is_usual: bool, load: Callable[[], Reranker]) -> None:
        self._name = name
        self._is_usual = is_usual and name is not None
        self._load = load
        self._loading = threading.Lock()
        self._loaded: Reranker | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What a comparison may name."""
        return (NONE,) if self._name is None else (NONE, self._name)

    @property
    def usual_name(self) -> str | None:
        """The one that searches use; None where they use none."""
        return self._name if self._is_usual else None

    def usual(self) -> Reranker | None:
        """The one that searches use; None where they use none.

        One that cannot be loaded is left out from then on, with a warning: the search is good enough without.
        """
        if not self._is_usual:
            return None
        try:
            return self._get()
        except (CiteboundError, LlmError) as error:
            self._is_usual = False
            _log.warning("reranker_left_out", error=type(error).__name__, message=str(error))
            return None

    def named(self, name: str | None) -> Reranker | None:
        """The one that a comparison names; None for "none". Without a name the usual one.

        Raises:
            InvalidInputError: there is none of that name.
            NotReadyError: it cannot be loaded.
        """
        if name is None:
            return self.usual()
        if name not in self.names:
            raise InvalidInputError(f"there is no reranker named {name!r}; known are: {', '.join(self.names)}")
        return None if name == NONE else self._get()

    def _get(self) -> Reranker:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded
