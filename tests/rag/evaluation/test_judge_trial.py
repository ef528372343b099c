import pytest

from rag.evaluation.judge_trial import (
    LabelledJudgement,
    correct_rate,
    hold_trial,
    judge_view,
    shipped_trials,
    trial_in_run,
)
from rag.evaluation.records import read_trials, trials_text
from rag.evaluation.types import CaseResult, Figure, ScoredClaim
from rag.types import VerdictLabel
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.types import VerifierInfo

INFO = VerifierInfo(name="judge", version="1", threshold=0.5)


def judgements(n: int, judged: VerdictLabel, label: VerdictLabel, score: float) -> list[LabelledJudgement]:
    return [LabelledJudgement(judged=judged, score=score, label=label)] * n


def trial(right: int, n: int = 100):
    """A judge that is right in `right` of `n` claims of each class."""
    return hold_trial(
        [
            *judgements(right, "supported", "supported", 0.9),
            *judgements(n - right, "unsupported", "supported", 0.1),
            *judgements(right, "contradicted", "unsupported", 0.1),
            *judgements(n - right, "supported", "contradicted", 0.9),
        ],
        name="judge",
        measured_on="hand-made claims",
    )


def test_counts_and_calibration_by_hand() -> None:
    found = trial(80)
    assert (found.caught, found.passed_over, found.cleared, found.accused) == (80, 20, 80, 20)
    # scores of 0.9 are right in 80 of 100, those of 0.1 stand for 20 of 100 supported
    assert found.ece == pytest.approx(0.1)
    assert found.brier == pytest.approx(0.8 * 0.1**2 + 0.2 * 0.9**2)
    assert [(one.n, one.share_supported) for one in found.bins if one.n] == [(100, 0.2), (100, 0.8)]
    assert found.bins[0].mean_score is None


def test_a_score_of_one_is_in_the_last_bin() -> None:
    found = hold_trial(judgements(3, "supported", "supported", 1.0), name="j", measured_on="m")
    assert (found.bins[9].n, found.ece, found.brier) == (3, 0.0, 0.0)


def test_without_labels_nothing_is_known() -> None:
    found = hold_trial([], name="j", measured_on="m")
    assert (found.ece, found.brier) == (None, None)
    assert not judge_view(INFO, found).decidable


@pytest.mark.parametrize(
    ("right", "n", "decidable"),
    [(80, 100, True), (62, 100, False), (68, 100, False), (700, 1000, True)],
)
def test_decidable_is_what_is_surely_better_than_the_bar(right: int, n: int, decidable: bool) -> None:
    view = judge_view(INFO, trial(right, n))
    assert view.balanced_accuracy == pytest.approx(right / n)
    assert view.decidable is decidable
    assert ("not decidable" in view.sentence) is not decidable


def test_what_a_judge_says_of_itself_counts_where_it_was_not_tried() -> None:
    said = VerifierInfo(name="j", version="1", threshold=0.5, balanced_accuracy=0.7, measured_on="WiCE dev")
    assert judge_view(said, None).decidable
    assert not judge_view(INFO, None).decidable
    people = judge_view(None, None)
    assert people.decidable and people.name is None and "people's" in people.sentence


def test_people_in_the_run_are_a_trial_of_their_own() -> None:
    def claims(verdict: VerdictLabel, judged: VerdictLabel) -> ScoredClaim:
        return ScoredClaim(
            text="x", start=None, end=None, verdict=verdict, judged=judged, score=0.5, decided_by="person"
        )

    rows = (claims("supported", "supported"), claims("unsupported", "supported"))
    results = [
        CaseResult(case_id=str(n), system="s", text="x", abstained=False, outcome=None, claims=rows) for n in range(20)
    ]
    found = trial_in_run(results, INFO)
    assert found is not None
    assert (found.cleared, found.passed_over, found.caught) == (20, 20, 0)
    assert found.measured_on == "40 claims of this run labelled by people"
    assert trial_in_run(results[:19], INFO) is None
    assert trial_in_run(results, None) is None


def test_trials_that_are_shipped_belong_to_one_judge() -> None:
    info = OverlapJudge().info
    main, *others = shipped_trials(info)
    assert (main.name, main.version) == (info.name, info.version)
    view = judge_view(info, main, others)
    assert view.measured_on == main.measured_on and "WiCE" in main.measured_on
    assert [one.measured_on for one in view.others] == [one.measured_on for one in others]
    assert not view.decidable  # shared words are no judge
    assert shipped_trials(INFO) == () == shipped_trials(None)


def test_trials_come_back_as_they_were_written() -> None:
    trials = (trial(80), hold_trial([], name="j", version="2", measured_on="m"))
    assert read_trials(trials_text(trials)) == trials


def test_a_rate_is_corrected_by_hand() -> None:
    figure = Figure(numerator=44, denominator=100, undefined=0, n=100)
    found = correct_rate(figure, trial(80))
    assert found.value == pytest.approx((0.44 + 0.8 - 1) / (0.8 + 0.8 - 1))
    assert found.low is not None and found.high is not None
    assert found.low < 0.4 < found.high
    fewer = correct_rate(figure, trial(80), effective_n=20)
    assert fewer.low is not None and fewer.high is not None
    assert fewer.high - fewer.low > found.high - found.low


def test_what_cannot_be_corrected_says_why() -> None:
    figure = Figure(numerator=44, denominator=100, undefined=0, n=100)
    nothing = Figure(numerator=0, denominator=0, undefined=3, n=3)
    notes = [correct_rate(*pair) for pair in ((figure, None), (nothing, trial(80)), (figure, trial(50)))]
    assert [note.value for note in notes] == [None, None, None]
    assert [note.note for note in notes] == [
        "the judge was not tried on people's labels",
        "there is no rate to correct",
        "the judge is no better than chance on its trial",
    ]
