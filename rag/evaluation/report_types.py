"""The shape of `report.json`. The published schema is made from these types; see `rag.evaluation.report_json`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rag.evaluation.case_types import CaseView
from rag.evaluation.judge_types import JudgeView
from rag.evaluation.types import Figure

SCHEMA_VERSION = "1"

# not_decidable: the judge is too weak; undefined: one side has no value
Word = Literal["better", "worse", "equivalent", "undecided", "not_decidable", "undefined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A figure as it is read: `value` is numerator ÷ denominator, null where nothing counts."""

    value: float | None
    numerator: float
    denominator: int
    undefined: int
    n: int
    low: float | None = None  # 95 % interval (bootstrap clustered by document); null where it cannot be had
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesView:
    """What was asked."""

    n: int
    n_answerable: int
    n_unanswerable: int
    n_with_references: int
    n_documents: int  # clusters of the bootstrap
    n_drafted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantilesView:
    """How a quantity spreads over answers; null where no answer has it."""

    n: int
    mean: float | None
    p50: float | None
    p95: float | None
    total: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """Among the `coverage` most confident answers, the share that is wrong."""

    coverage: float
    risk: float
    confidence: float  # the least of them


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstentionView:
    """Knowing when not to answer; every figure null, with the reason, where the cases are of one class only."""

    refused: str | None  # one sentence: why these figures are not given
    over_refusal: FigureView | None = None
    false_confidence: FigureView | None = None
    risk_coverage: tuple[RiskPoint, ...] = ()  # () where answers carry no confidence
    aurc: float | None = None  # area under it, 0 = best
    coverage_at_5_percent_risk: float | None = None
    coverage_at_10_percent_risk: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedView:
    """A rate corrected for the judge's errors (Rogan–Gladen)."""

    value: float | None
    low: float | None
    high: float | None
    note: str  # one sentence: what was corrected, or why not


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """One system and what came of it."""

    name: str
    mode: str | None  # null: answers made elsewhere
    settings: dict[str, Any]
    figures: dict[str, FigureView]  # accuracy, answer_rate, hallucination_rate, … (docs/report-json.md lists them)
    outcomes: dict[str, int]  # correct, wrong, abstained, right_abstention, false_confidence, undefined, failed
    claims: dict[str, int]  # supported, contradicted, unsupported, elsewhere, absent, undefined
    seconds: QuantilesView
    first_token_seconds: QuantilesView
    prompt_tokens: QuantilesView
    completion_tokens: QuantilesView
    abstention: AbstentionView
    corrected: dict[str, CorrectedView]  # figure → corrected; hallucination_rate, unsupported_claim_rate
    causes: dict[str, int]  # of wrong and hallucinated answers, where they were traced


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemarView:
    """Exact McNemar test on whether answers are correct."""

    only_baseline: int  # correct under the baseline alone
    only_system: int
    n: int
    p_value: float | None
    p_holm: float | None  # corrected over all comparisons of the report
    odds_ratio: float | None
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """System minus baseline on one figure, over the cases where both are defined."""

    figure: str
    higher_is_better: bool | None  # null: neither (answer_rate), and never called better or worse
    n: int  # cases
    n_clusters: int
    baseline: float | None
    system: float | None
    difference: float | None
    low: float | None  # 95 %, clustered
    high: float | None
    low_unclustered: float | None
    high_unclustered: float | None
    p_value: float | None
    p_holm: float | None
    margin: float  # of equivalence
    p_equivalence: float | None  # two one-sided tests
    minimum_detectable_effect: float | None  # at 5 % and power 80 %
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """(correct - cost · wrong) / n, where a wrong answer costs `cost` right ones."""

    cost: float
    baseline: float
    system: float
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceView:
    """A group of cases where a system does worse than elsewhere."""

    property: str  # document, answerable, question_word, …
    value: str
    n: int
    system: str
    figure: str
    inside: float
    outside: float
    difference: float
    p_value: float
    p_holm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedView:
    """Both systems at the same coverage: the more talkative one keeps only its most confident answers."""

    coverage: float | None
    baseline_risk: float | None
    system_risk: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """Two systems on the same cases."""

    baseline: str
    system: str
    # [baseline outcome][system outcome] over answerable cases where both are known
    transitions: dict[str, dict[str, int]]
    unanswerable_transitions: dict[str, dict[str, int]]
    named: dict[str, int]  # every Transition → cases
    mcnemar: McNemarView
    differences: tuple[DifferenceView, ...]
    cost_curve: tuple[CostPoint, ...]
    matched: MatchedView
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallView:
    """From no documents, over retrieved ones, to the right passage: see `rag.evaluation.cause.Waterfall`."""

    system: str
    closed_book: FigureView
    grounded: FigureView
    oracle: FigureView
    recovered: FigureView
    causes: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The report in one sentence, and the figures behind it."""

    sentence: str
    figure: str | None
    baseline: str | None
    system: str | None
    difference: float | None
    low: float | None
    high: float | None
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`report.json`."""

    schema_version: str
    name: str
    created_at: str
    collection: str
    seed: int
    n_resamples: int
    complete: bool  # false where the run was stopped and results are missing
    n_missing: int
    headline: Headline
    cases: CasesView
    systems: tuple[SystemView, ...]
    comparisons: tuple[ComparisonView, ...]  # every later system against the first
    slices: tuple[SliceView, ...]  # worst first
    judge: JudgeView
    case_rows: tuple[CaseView, ...]
    warnings: tuple[str, ...]
    manifest: dict[str, Any]
    waterfalls: tuple[WaterfallView, ...] = ()  # one a grounded system; () where nothing was rerun
    # grounded system → what its answers did when the evidence said something else (evidence, memory, flagged, …)
    obedience: dict[str, dict[str, int]] = field(default_factory=dict)


def view(figure: Figure, *, low: float | None = None, high: float | None = None) -> FigureView:
    """A figure as it is read, with its interval."""
    return FigureView(
        value=figure.value,
        numerator=figure.numerator,
        denominator=figure.denominator,
        undefined=figure.undefined,
        n=figure.n,
        low=low,
        high=high,
    )
