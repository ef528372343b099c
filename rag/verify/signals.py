"""What speaks for and against a claim, in figures: shared words, missing numbers and names, what the model read.

`lexical_signals` needs no model. `FEATURES` names all figures in the order in which `verifier.json` weighs them.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.text import content_words
from rag.types import FloatArray
from rag.verify.cells import other_cell
from rag.verify.checks import Comparison, compare, names_of, quantities
from rag.verify.found_answers import ANSWER_FEATURES, NOT_ASKED, FoundAnswer
from rag.verify.measures import other_measure
from rag.verify.verbatim import is_verbatim
from rag.verify.windows import EvidenceSentences, Window

LEXICAL_FEATURES = (
    "window_words",  # weight share of the claim's words in the best window of one place, 0..1
    "gathered_words",  # in the best window or the gathered sentences
    "evidence_words",  # in all evidence
    "own_words",  # of the words that the question does not hold already, in the best window; 0 where it has none
    "answered",  # the highest product of own_words and the question's words in one window; own_words without a question
    "answered_at_once",  # the same in one sentence
    "words_missing",  # summed weight of the words that no window holds, over that of a word never seen, at most 5
    "rarest_missing",  # weight of the weightiest word that no evidence holds, over that of a word never seen
    "pairs",  # share of pairs of neighbouring content words that stand side by side in the evidence
    "window_pairs",  # in the best window
    "numbers_missing",  # share of the claim's numbers that no evidence holds
    "window_numbers_missing",  # that the best window lacks
    "names_missing",  # share of the claim's names of which no evidence holds a word
    "window_names_missing",
    "conflicts",  # numbers that count something of which the best window states another number, at most 2
    "negation_differs",  # 1 where claim or best window negates and the other does not
    "said_missing",  # share of the words of the claim itself that no evidence holds, each counting the same
    "asked_missing",  # by weight, of those that the question does not hold; 0 where there is no question
    "echoes",  # 1 where an answer says no word that its question does not, is no yes or no, and no choice was asked for
    "asked_elsewhere",  # by how much a sentence holds more of the question than half and than any that holds the answer
    "length",  # log of the number of content words, those of the question before it not counted
    "asked",  # 1 for an answer read after its question
)
MODEL_FEATURES = (
    "support",  # log-odds of supported, the highest of all windows
    "support_top",  # in the window with most of the claim's words
    "support_gathered",  # in the gathered sentences; the highest where there are none
    "support_mean",  # mean over the three most supporting windows
    "support_parts",  # of the part of a long claim that is least supported; the highest of the claim where it has none
    "contradiction",  # log-odds of contradicted against the other two, in the window that most supports
    "contradiction_top",  # in the window with most of the claim's words
    "contradiction_max",  # the highest of all windows
    "refuted_top",  # log-odds of contradicted against unsupported, in the window with most of the claim's words
    "refuted_max",  # the highest of all windows
)
FEATURES = LEXICAL_FEATURES + MODEL_FEATURES + ANSWER_FEATURES
_MOST_MISSING = 5.0
_REPLIES = frozenset(content_words("yes no yeah nope ja nein"))  # they say what the question says, or that it is not so
_CHOICE = re.compile(r"\b(?:or|oder)\b", re.IGNORECASE)  # "A or B?" is answered in the question's words
_MOSTLY = 0.5
_AS_GOOD = 1.0  # log-odds by which the place that holds more of the words may support less


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One claim, or a part of one, in the words that are looked up."""

    text: str  # what the model reads: the question first where there is one
    own: str  # the claim alone
    asked: str  # the question, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexical:
    """The figures that words alone give, and what they rest on."""

    values: FloatArray  # (len(LEXICAL_FEATURES),)
    comparison: Comparison  # with all evidence
    in_window: Comparison  # with the best window
    other_measure: tuple[str, str] | None  # what is told where another kind of amount was asked
    other_cell: str | None  # why the answer is the wrong cell of a table
    is_verbatim: bool  # a sentence says the claim word for word

    @property
    def vetoed(self) -> bool:
        """Whether an explicit comparison rules the claim out."""
        return bool(self.comparison.plain_missing or self.other_measure or self.other_cell)


def lexical_signals(wording: Wording, sentences: EvidenceSentences, windows: Sequence[Window]) -> Lexical:
    """The LEXICAL_FEATURES of one claim; `windows` are those picked for it, best first, never empty."""
    terms = content_words(wording.text)
    weights = sentences.weights(terms)
    asked = frozenset(content_words(wording.asked))
    stated = frozenset(content_words(wording.own)) - _REPLIES
    said = stated or asked
    own = {term: weight for term, weight in weights.items() if term in said and term not in asked}
    echoes = bool(asked) and bool(stated) and not own and _CHOICE.search(wording.asked) is None
    own = own or {term: weight for term, weight in weights.items() if term in said}
    own_missing = _part(sum(weight for term, weight in own.items() if not sentences.holds(term)), sum(own.values()))
    given = {term: weight for term, weight in weights.items() if term in asked}
    read = frozenset(term for window in windows for term in window.terms)
    read_at_once = [one.terms for window in windows for one in window.sentences]
    answered, at_once = (
        max(_share(terms, own) * (_share(terms, given) if given else 1.0) for terms in places)
        for places in ([window.terms for window in windows], read_at_once)
    )
    unread = sum(weight for term, weight in weights.items() if term not in read) / sentences.heaviest
    placed = [window for window in windows if window.evidence is not None] or list(windows)
    shares = [_share(window.terms, weights) for window in placed]
    best = placed[int(np.argmax(shares))]
    missing = [weight for term, weight in weights.items() if not sentences.holds(term)]
    pairs = list(itertools.pairwise(terms))
    near = {
        pair for window in windows for one in window.sentences for pair in zip(one.terms, one.terms[1:], strict=False)
    }
    beside = frozenset(zip(best.terms, best.terms[1:], strict=False))
    everything = compare(wording.own, sentences.text, asked=wording.asked)
    here = compare(wording.own, best.text, asked=wording.asked)
    values = (
        max(shares),
        max(_share(window.terms, weights) for window in windows),
        sum(weight for term, weight in weights.items() if sentences.holds(term)) / (sum(weights.values()) or 1.0),
        max(_share(window.terms, own) for window in windows),
        answered,
        at_once,
        min(unread, _MOST_MISSING),
        max(missing, default=0.0) / sentences.heaviest,
        _part(sum(pair in near for pair in pairs), len(pairs)),
        _part(sum(pair in beside for pair in pairs), len(pairs)),
        _part(len(everything.missing_numbers), everything.n_numbers),
        _part(len(here.missing_numbers), here.n_numbers),
        _part(len(everything.missing_names), everything.n_names),
        _part(len(here.missing_names), here.n_names),
        min(len(here.conflicts), 2),
        float(here.negation_differs and bool(stated)),
        _part(sum(not sentences.holds(term) for term in said), len(said)),
        own_missing if wording.asked else 0.0,
        float(echoes),
        _asked_elsewhere(windows, wording, own, given),
        math.log1p(len(content_words(wording.own))),
        float(bool(wording.asked)),
    )
    return Lexical(
        values=np.asarray(values, dtype=np.float32),
        comparison=everything,
        in_window=here,
        other_measure=other_measure(wording.asked, wording.own),
        other_cell=other_cell(wording.asked, wording.own, sentences.tables, sentences.prose),
        is_verbatim=not wording.asked
        and is_verbatim(wording.own, dict.fromkeys(one for window in windows for one in window.sentences)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What the model made of the windows of one claim; indexes are of windows with a place, where there is one."""

    values: FloatArray  # (len(MODEL_FEATURES),); all FEATURES once `rag.verify.judge.read_signals` returns it
    supports: int  # the window that most supports
    contradicts: int  # the window that most contradicts
    weakest_part: int | None  # the part that is not supported where another is
    answer: FoundAnswer = NOT_ASKED  # to the claim's question


def model_signals(logits: FloatArray, windows: Sequence[Window], parts: Sequence[FloatArray] = ()) -> Read:
    """The MODEL_FEATURES of one claim from the logits (n_windows, 3) of its windows, and those of each of its parts."""
    support, contradiction = log_odds(logits, 0), log_odds(logits, 1)
    refuted = np.clip(logits[:, 1] - logits[:, 2], -20.0, 20.0)
    placed = [index for index, window in enumerate(windows) if window.evidence is not None] or [0]
    most = max(support[index] for index in placed)
    best = next(index for index in placed if support[index] >= most - _AS_GOOD)
    gathered = [index for index, window in enumerate(windows) if window.evidence is None]
    of_parts = [float(log_odds(part, 0).max()) for part in parts]
    values = (
        support.max(),
        support[0],
        support[gathered[0]] if gathered else support.max(),
        np.sort(support)[-3:].mean(),
        min(of_parts, default=support.max()),
        contradiction[best],
        contradiction[0],
        contradiction.max(),
        refuted[0],
        refuted.max(),
    )
    return Read(
        values=np.asarray(values, dtype=np.float32),
        supports=best,
        weakest_part=int(np.argmin(of_parts)) if min(of_parts, default=0.0) < 0 < max(of_parts, default=0.0) else None,
        contradicts=max(placed, key=lambda index: (contradiction[index], -index)),
    )


def log_odds(logits: FloatArray, outcome: int) -> FloatArray:
    """Log-odds of one outcome against the other two, (n,), within ±20."""
    others = np.delete(logits.astype(np.float64), outcome, axis=1)
    rest = np.logaddexp(others[:, 0], others[:, 1])
    return np.clip(logits[:, outcome] - rest, -20.0, 20.0).astype(np.float32)


def _asked_elsewhere(
    windows: Sequence[Window], wording: Wording, own: Mapping[str, float], given: Mapping[str, float]
) -> float:
    """How far the best sentence for the question lies above the best one for it that holds most of the answer, 0..1/2.

    Only sentences that hold all of the question that the answer's own sentence holds, and another thing of the answer's
    kind, a number or a name, count as better: one that merely names what "the company" or "she" is there, and says
    something else of it, is no rival. Where no sentence holds more than
    half of what was asked, the answer is put together from several, and it says nothing; nor where no sentence holds a
    word of the answer.
    """
    places = [one for window in windows for one in window.sentences]
    held = [len(own.keys() & set(one.terms)) for one in places]
    most = max(held, default=0)
    if not given or most == 0:
        return 0.0
    shares = [_share(one.terms, given) for one in places]
    best = max((number for number, n_held in enumerate(held) if n_held == most), key=shares.__getitem__)
    asked_here = given.keys() & set(places[best].terms)
    rivals = [
        share
        for one, share in zip(places, shares, strict=True)
        if share > shares[best] and asked_here <= set(one.terms) and _rivals(one.text, wording)
    ]
    return max(0.0, max(rivals, default=0.0) - max(shares[best], _MOSTLY))


def _rivals(sentence: str, wording: Wording) -> bool:
    """Whether a sentence holds something of the answer's kind that neither answer nor question says."""
    said = quantities(wording.own)
    if said:
        asked = quantities(wording.asked)
        return any(not any(one.same_as(other) for other in (*said, *asked)) for one in quantities(sentence))
    if names_of(f"that {wording.own}"):  # not at the beginning, where any word has a capital
        known = frozenset(content_words(f"{wording.asked} {wording.own}"))
        return any(not known.intersection(content_words(name)) for name in names_of(sentence))
    return True


def _share(terms: Sequence[str], weights: Mapping[str, float]) -> float:
    """The share of the weights whose terms are among `terms`, 0..1."""
    held = frozenset(terms)
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in held) / total if total else 0.0


def _part(count: float, of: float) -> float:
    return count / of if of else 0.0
