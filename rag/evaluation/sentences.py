"""A comparison in one sentence, for people: never a rate without the answer rate beside it."""

from collections.abc import Mapping

from rag.evaluation.report_types import ComparisonView, DifferenceView, FigureView, Headline, SystemView

_LEADING = (  # the first of these that both systems have is what a comparison is about
    ("hallucination_rate", "states what the evidence does not support in {share} of its answers"),
    ("accuracy", "answers {share} of the answerable questions correctly"),
    ("wrong_given_answered", "is wrong in {share} of its answers"),
    ("unsupported_claim_rate", "makes claims that are not supported: {share} of them"),
    ("answer_rate", "answers {share} of the questions"),
)


def headline_of(comparison: ComparisonView, figures: Mapping[str, Mapping[str, FigureView]]) -> Headline:
    """The leading figure of a comparison, and its sentence.

    Args:
        comparison: with words.
        figures: of every system, by its name.
    """
    by_name = {view.figure: view for view in comparison.differences}
    for name, phrase in _LEADING:
        view = by_name.get(name)
        if view is None or view.difference is None:
            continue
        return Headline(
            sentence=_sentence(comparison, view, phrase, figures),
            figure=name,
            baseline=comparison.baseline,
            system=comparison.system,
            difference=view.difference,
            low=view.low,
            high=view.high,
            word=view.word,
        )
    return Headline(
        sentence=f"{comparison.system} and {comparison.baseline} share no figure that both have: nothing to compare.",
        figure=None,
        baseline=comparison.baseline,
        system=comparison.system,
        difference=None,
        low=None,
        high=None,
        word="undefined",
    )


def headline_alone(system: SystemView | None) -> Headline:
    """The headline of a report with one system, or none."""
    sentence = "Nothing was compared."
    if system is not None:
        for name, phrase in _LEADING:
            value = system.figures[name].value if name in system.figures else None
            if value is not None:
                sentence = f"{system.name} {phrase.format(share=percent(value))}{_answering(system.figures, name)}."
                break
    return Headline(
        sentence=sentence,
        figure=None,
        baseline=None,
        system=system.name if system else None,
        difference=None,
        low=None,
        high=None,
        word="undefined",
    )


def percent(share: float | None) -> str:
    """A share for people: "12.3 %"."""
    return "an unknown share" if share is None else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of shares for people, in percentage points with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def _sentence(
    comparison: ComparisonView, view: DifferenceView, phrase: str, figures: Mapping[str, Mapping[str, FigureView]]
) -> str:
    assert view.difference is not None
    said = f"{comparison.system} {phrase.format(share=percent(view.system))}, "
    said += f"{comparison.baseline} {percent(view.baseline)}: {points(view.difference)} points"
    if view.low is not None and view.high is not None:
        said += f" (95 % {points(view.low)} to {points(view.high)})"
    said += f" on {view.n} cases, {_verdict(view)}."
    if view.figure != "answer_rate":
        rates = [figures[name]["answer_rate"].value for name in (comparison.system, comparison.baseline)]
        said += f" It answers {percent(rates[0])} of the questions, {comparison.baseline} {percent(rates[1])}."
    return said


def _verdict(view: DifferenceView) -> str:
    if view.word == "not_decidable":
        return "not decidable: the judge is too weak"
    if view.word == "equivalent":
        return f"equivalent within {100 * view.margin:.0f} points"
    if view.word == "undecided" and view.minimum_detectable_effect is not None:
        return f"undecided: only differences from {100 * view.minimum_detectable_effect:.0f} points on would be seen"
    return view.word


def _answering(figures: Mapping[str, FigureView], name: str) -> str:
    if name == "answer_rate":
        return ""
    return f", and answers {percent(figures['answer_rate'].value)} of the questions"
