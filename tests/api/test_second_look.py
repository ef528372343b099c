"""The second look in the service: which judge can, the setting, what is told of it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from api.loader import Loader
from api.serve import Running, running
from llm.types import Cancel
from rag.answer_types import SURE_ABSTENTION, SUREST_ABSTENTION
from rag.cross_encoder import TokenScores
from rag.verify.cached_judge import CachedJudge
from rag.verify.found_answers import LookedUp
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.windows import EvidenceSentences, WordCounts

TEXT = "# Leave\n\nParents take 18 weeks of leave.\n\n# Travel\n\nA hotel may cost 90 euros a night."
QUESTION = "How many weeks of leave do parents take?"


class Reader(OverlapJudge):
    """Counts words, and finds every answer in "18"."""

    def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
        stretches = EvidenceSentences(evidence, WordCounts()).best_stretches({})
        return LookedUp(question=question, stretches=stretches, scores=tuple(_scored(one.text) for one in stretches))


def _scored(text: str) -> TokenScores:
    at = text.find("18 ")
    values = np.full((1, 2), 4.0 if at >= 0 else -4.0, dtype=np.float32)
    return TokenScores(values=values, spans=((max(at, 0), max(at, 0) + 2),), nowhere=np.zeros(2, np.float32))


@contextmanager
def served(settings: Any, upload: Callable[..., Any], judge: CachedJudge) -> Iterator[tuple[Running, httpx.Client]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "_load_judge", lambda self: judge)
        with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
            http.headers["Authorization"] = f"Bearer {service.token}"
            deadline = time.monotonic() + 60
            while http.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            upload(http, "rules.md", TEXT.encode())
            yield service, http


@pytest.mark.parametrize(("setting", "asked"), [("auto", 2), ("none", 1)])
def test_a_draft_that_lies_elsewhere_is_written_again_unless_the_setting_says_no(
    make_settings: Callable[..., Any], upload: Callable[..., Any], setting: str, asked: int
) -> None:
    settings = make_settings(scripted_replies=("90 euros", "18 weeks"), second_look=setting)
    with served(settings, upload, CachedJudge(Reader())) as (_, http):
        answer = http.post("/v1/ask", json={"question": QUESTION}).json()
    assert ("18 weeks" in answer["text"]) == (asked == 2), answer
    assert answer["usage"]["completion_tokens"] == 2 * asked


def test_a_judge_that_looks_nothing_up_leaves_the_first_draft(
    make_settings: Callable[..., Any], upload: Callable[..., Any]
) -> None:
    with served(make_settings(), upload, CachedJudge(OverlapJudge())) as (service, _):
        assert service.parts.second_look(service.parts.judge.get()) is None
        assert service.parts.second_look(None) is None
        assert service.parts.second_look(CachedJudge(Reader())) is not None


def test_how_sure_an_abstention_has_to_be_is_a_setting(
    make_settings: Callable[..., Any], upload: Callable[..., Any]
) -> None:
    for setting, sure, surest in ((None, SURE_ABSTENTION, SUREST_ABSTENTION), (0.2, 0.2, 0.95), (0.99, 0.99, 0.99)):
        with served(make_settings(sure_abstention=setting), upload, CachedJudge(Reader())) as (service, _):
            found = service.parts.answer_settings
            assert (found.sure_abstention, found.surest_abstention) == (sure, surest)
