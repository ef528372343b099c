"""The judge that the settings name."""

from collections.abc import Callable

from api.settings import Settings
from llm.sources import ModelStore
from llm.types import Device
from rag.verify.cached_judge import CachedJudge
from rag.verify.overlap_judge import OverlapJudge

TRAINED_FROM = "all-MiniLM-L6-v2"  # the encoder that the shipped verifier and reranker were trained from
LARGE_TRAINED_FROM = "all-mpnet-base-v2"  # that of the large verifier


def load_judge(settings: Settings, models: ModelStore, probe: Callable[[], Device]) -> CachedJudge:
    """The judge that `settings.verifier` names, remembering what it said; imports torch where it has weights.

    Raises:
        LlmError: an encoder cannot be had.
        NotReadyError: an encoder is not the one that was trained from.
    """
    if settings.verifier == "overlap":
        return CachedJudge(OverlapJudge())
    from rag.verify.judge import load_judge as load

    base = models.resolve(TRAINED_FROM).folder
    is_large = judge_choice(settings, models) == "large"
    large_base = models.resolve(LARGE_TRAINED_FROM).folder if is_large else None
    return CachedJudge(load(base, probe(), large_base=large_base))


def judge_choice(settings: Settings, models: ModelStore) -> str:
    """What `settings.verifier` comes to here: "large", "shipped", "overlap" or "none"."""
    if settings.verifier != "auto":
        return settings.verifier
    return "large" if models.info(LARGE_TRAINED_FROM).installed else "shipped"
