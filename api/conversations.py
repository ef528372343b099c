"""What the decoder was shown for the last answers, so that a follow-up can go on from there.

Kept in memory alone and for as long as the process lives: the decoder's own memory of what it has read, which makes
going on worth while, ends with it too. A turn is found by the words of the whole conversation up to it, asked by the
same client in the same collection under the same filter. Whoever has them was sent that answer, or could be.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from llm.types import Message
from rag.answer_types import AskRequest
from rag.prompt import Shown
from rag.types import Passage

MAX_TURNS = 256
MAX_CHARS = 32_000  # of one prompt; a longer one leaves no room for a follow-up

LivePassages = Callable[[Iterable[int]], Mapping[int, Passage]]


class Conversations:
    """The newest turns. Thread-safe.

    Args:
        live: The passages among some ids that can be searched now (`Passages.get_many`).
        max_turns: How many are kept; the longest unused goes first.
    """

    def __init__(self, live: LivePassages, *, max_turns: int = MAX_TURNS) -> None:
        self._live = live
        self._max_turns = max_turns
        self._lock = threading.Lock()
        self._turns: OrderedDict[bytes, Shown] = OrderedDict()

    def find(self, request: AskRequest, client: str) -> Shown | None:
        """What was shown for the last answer of the request's history.

        None where that answer was not given here lately, or one of its passages was deleted or replaced since.
        """
        if request.mode != "grounded" or request.evidence is not None or not request.history:
            return None
        key = _key(request, client, request.history)
        with self._lock:
            shown = self._turns.get(key)
            if shown is None:
                return None
            self._turns.move_to_end(key)
        ids = {passage_id for passage in shown.passages for passage_id in passage.passage_ids}
        live = self._live(ids)
        if all(passage_id in live and live[passage_id].collection == request.collection for passage_id in ids):
            return shown
        with self._lock:
            self._turns.pop(key, None)
        return None

    def keep(self, request: AskRequest, client: str, answer: str, shown: Shown) -> None:
        """Note what was shown for the request, which was given this answer."""
        if sum(len(message.content) for message in shown.messages) > MAX_CHARS:
            return
        asked, given = Message(role="user", content=request.question), Message(role="assistant", content=answer)
        key = _key(request, client, (*request.history, asked, given))
        with self._lock:
            self._turns[key] = shown
            self._turns.move_to_end(key)
            while len(self._turns) > self._max_turns:
                self._turns.popitem(last=False)

    def forget(self) -> None:
        """Drop everything: a document was deleted."""
        with self._lock:
            self._turns.clear()


def _key(request: AskRequest, client: str, turns: Iterable[Message]) -> bytes:
    """A digest of who asks where, and of what was said."""
    said = [[turn.role, " ".join(turn.content.split())] for turn in turns]
    scope = [client, request.collection, request.metadata_filter or {}]
    return hashlib.sha256(json.dumps([scope, said], sort_keys=True).encode()).digest()
