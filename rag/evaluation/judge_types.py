"""The judge of `report.json`: how far it is to be believed; see `rag.evaluation.report_types`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BinView:
    """One bin of the reliability plot."""

    low: float
    high: float
    n: int
    mean_score: float | None
    share_supported: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """The same judge on other named labels."""

    measured_on: str
    n_labels: int
    balanced_accuracy: float | None
    low: float | None  # 95 %
    high: float | None
    ece: float | None
    brier: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeView:
    """How well the verifier agrees with people, here and where it was measured."""

    name: str | None  # null: nothing was judged by machine
    version: str | None
    threshold: float | None
    measured_on: str | None  # the named labels behind the figures below
    n_labels: int
    balanced_accuracy: float | None
    balanced_accuracy_low: float | None
    balanced_accuracy_high: float | None
    sensitivity: float | None  # of "not supported"
    specificity: float | None
    ece: float | None
    brier: float | None
    bins: tuple[BinView, ...]
    decidable: bool
    sentence: str
    others: tuple[TrialView, ...] = ()  # on other named labels; what is decidable does not rest on them
