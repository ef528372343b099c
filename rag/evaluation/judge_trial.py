"""The judge on trial: how often it agrees with people, how honest its scores are, and what follows for its rates.

Positive is what a judge must catch: a claim that is not supported. **Decidable** is what rests on a judge whose
balanced accuracy is at least `MIN_BALANCED_ACCURACY`, at the lower end of its 95 % interval where labels are counted.
Correcting a rate divides it, and its error, by (2 · balanced accuracy - 1): below 0.65 more than threefold.

What counts is the trial on people's labels of the run itself, else the first that is shipped for the judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from rag.evaluation.judge_types import BinView, JudgeView, TrialView
from rag.evaluation.records import read_trials
from rag.evaluation.report_types import CorrectedView
from rag.evaluation.statistics import Interval, balanced_accuracy, rogan_gladen
from rag.evaluation.types import CaseResult, Figure, JudgeTrial, ReliabilityBin
from rag.types import VerdictLabel
from rag.verify.types import VerifierInfo

MIN_BALANCED_ACCURACY = 0.65
MIN_LABELS = 20  # of people in a run, of each class, before they are a trial of their own
N_BINS = 10
TRIALS_FILE = "judge_trials.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledJudgement:
    """What a judge says of one claim, and what people say."""

    judged: VerdictLabel
    score: float  # 0..1: probability of `supported`
    label: VerdictLabel  # people's


def shipped_trials(info: VerifierInfo | None) -> tuple[JudgeTrial, ...]:
    """The trials of a judge that `benchmarks/judge_trial.py` held and `judge_trials.json` keeps, the main one first."""
    if info is None:
        return ()
    text = (files("rag.evaluation") / TRIALS_FILE).read_text(encoding="utf-8")
    return tuple(one for one in read_trials(text) if (one.name, one.version) == (info.name, info.version))


def hold_trial(
    judgements: Sequence[LabelledJudgement], *, name: str, version: str = "", measured_on: str
) -> JudgeTrial:
    """The judge's confusion counts and calibration on people's labels.

    Expected calibration error over ten bins of equal width (Naeini et al., AAAI 2015), Brier score (1950); None without
    labels.

    Args:
        judgements: one a labelled claim.
        name: of the judge.
        version: of the judge.
        measured_on: the labels, by name.
    """
    supported = [one.label == "supported" for one in judgements]
    cleared = [one.judged == "supported" for one in judgements]
    pairs = list(zip(supported, cleared, strict=True))
    bins = _bins(judgements)
    n = len(judgements)
    ece = brier = None
    if n:
        gaps = [
            one.n * abs(one.mean_score - one.share_supported)
            for one in bins
            if one.mean_score is not None and one.share_supported is not None
        ]
        ece = sum(gaps) / n
        brier = sum((one.score - truth) ** 2 for one, truth in zip(judgements, supported, strict=True)) / n
    return JudgeTrial(
        name=name,
        version=version,
        measured_on=measured_on,
        caught=pairs.count((False, False)),
        passed_over=pairs.count((False, True)),
        cleared=pairs.count((True, True)),
        accused=pairs.count((True, False)),
        ece=ece,
        brier=brier,
        bins=bins,
    )


def trial_in_run(results: Sequence[CaseResult], info: VerifierInfo | None) -> JudgeTrial | None:
    """A trial on the claims of this run that people labelled and the judge read, too; None where they are too few."""
    if info is None:
        return None
    judgements = [
        LabelledJudgement(judged=claim.judged, score=claim.score, label=claim.verdict)
        for result in results
        for claim in result.claims or ()
        if claim.decided_by == "person"
        and claim.verdict is not None
        and claim.judged is not None
        and claim.score is not None
    ]
    n_supported = sum(one.label == "supported" for one in judgements)
    if min(n_supported, len(judgements) - n_supported) < MIN_LABELS:
        return None
    labels = f"{len(judgements)} claims of this run labelled by people"
    return hold_trial(judgements, name=info.name, version=info.version, measured_on=labels)


def judge_view(info: VerifierInfo | None, trial: JudgeTrial | None, others: Sequence[JudgeTrial] = ()) -> JudgeView:
    """What the report says of the judge.

    Args:
        info: the judge that read this run; None where only people did.
        trial: its trial; None falls back to what `info` says of its own, without interval.
        others: on other labels, to be shown.
    """
    return replace(_judge_view(info, trial), others=tuple(_other(one) for one in others))


def _judge_view(info: VerifierInfo | None, trial: JudgeTrial | None) -> JudgeView:
    if info is None and trial is None:
        return _view(
            None, None, None, decidable=True, sentence="No claim was judged by machine: all verdicts are people's."
        )
    interval = None
    if trial is not None:
        interval = balanced_accuracy(trial.caught, trial.passed_over, trial.cleared, trial.accused)
    accuracy = interval.value if interval else (info.balanced_accuracy if info else None)
    measured_on = trial.measured_on if trial else (info.measured_on if info else None)
    name = info.name if info else (trial.name if trial else "")
    if accuracy is None or measured_on is None:
        sentence = f"Nobody measured how often the judge {name} is right: what rests on it is not decidable."
        return _view(info, trial, interval, decidable=False, sentence=sentence)
    least = interval.low if interval else accuracy
    decidable = least >= MIN_BALANCED_ACCURACY
    spread = f" (95 % {100 * interval.low:.1f} to {100 * interval.high:.1f})" if interval else ""
    sentence = (
        f"The judge {name} is right in {100 * accuracy:.1f} %{spread} of labelled claims, both classes counted alike, "
        f"on {measured_on}"
    )
    sentence += (
        "." if decidable else f": below {100 * MIN_BALANCED_ACCURACY:.0f} %, so what rests on it is not decidable."
    )
    return _view(info, trial, interval, decidable=decidable, sentence=sentence)


def correct_rate(figure: Figure, trial: JudgeTrial | None, *, effective_n: float | None = None) -> CorrectedView:
    """The rate of claims that are not supported, corrected for the judge's errors on its trial.

    Args:
        figure: `unsupported_claim_rate` as the judge sees it.
        trial: None gives no correction.
        effective_n: what the denominator is worth where claims are clustered; None: all of it.
    """
    if trial is None:
        return CorrectedView(value=None, low=None, high=None, note="the judge was not tried on people's labels")
    if figure.value is None:
        return CorrectedView(value=None, low=None, high=None, note="there is no rate to correct")
    interval = rogan_gladen(
        figure.value,
        effective_n if effective_n is not None else figure.denominator,
        caught=trial.caught,
        passed_over=trial.passed_over,
        cleared=trial.cleared,
        accused=trial.accused,
    )
    if interval is None:
        return CorrectedView(value=None, low=None, high=None, note="the judge is no better than chance on its trial")
    return CorrectedView(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        note=f"corrected for the judge's errors on {trial.measured_on} (Rogan and Gladen); they may differ here",
    )


def _other(trial: JudgeTrial) -> TrialView:
    interval = balanced_accuracy(trial.caught, trial.passed_over, trial.cleared, trial.accused)
    return TrialView(
        measured_on=trial.measured_on,
        n_labels=trial.caught + trial.passed_over + trial.cleared + trial.accused,
        balanced_accuracy=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        ece=trial.ece,
        brier=trial.brier,
    )


def _bins(judgements: Sequence[LabelledJudgement]) -> tuple[ReliabilityBin, ...]:
    bins = []
    for number in range(N_BINS):
        inside = [one for one in judgements if min(int(one.score * N_BINS), N_BINS - 1) == number]
        bins.append(
            ReliabilityBin(
                low=number / N_BINS,
                high=(number + 1) / N_BINS,
                n=len(inside),
                mean_score=sum(one.score for one in inside) / len(inside) if inside else None,
                share_supported=sum(one.label == "supported" for one in inside) / len(inside) if inside else None,
            )
        )
    return tuple(bins)


def _view(
    info: VerifierInfo | None,
    trial: JudgeTrial | None,
    interval: Interval | None,
    *,
    decidable: bool,
    sentence: str,
) -> JudgeView:
    n_positive = trial.caught + trial.passed_over if trial else 0
    n_negative = trial.cleared + trial.accused if trial else 0
    return JudgeView(
        name=info.name if info else (trial.name if trial else None),
        version=info.version if info else None,
        threshold=info.threshold if info else None,
        measured_on=trial.measured_on if trial else (info.measured_on if info else None),
        n_labels=n_positive + n_negative,
        balanced_accuracy=interval.value if interval else (info.balanced_accuracy if info and not trial else None),
        balanced_accuracy_low=interval.low if interval else None,
        balanced_accuracy_high=interval.high if interval else None,
        sensitivity=trial.caught / n_positive if trial and n_positive else None,
        specificity=trial.cleared / n_negative if trial and n_negative else None,
        ece=trial.ece if trial else (info.ece if info else None),
        brier=trial.brier if trial else (info.brier if info else None),
        bins=tuple(
            BinView(low=one.low, high=one.high, n=one.n, mean_score=one.mean_score, share_supported=one.share_supported)
            for one in (trial.bins if trial else ())
        ),
        decidable=decidable,
        sentence=sentence,
    )
