"""Asks the decoder again about the place that most seems to hold the answer: is it one, and is it another?

A short draft is compared with where the verifier's encoder finds the answer (`rag.verify.found_answers`). If another
place is much likelier, the decoder is shown that stretch of evidence alone. The second draft stands where a logistic
function of how likely both are, by the encoder and by the decoder itself, says that it is the right one of the two.
Either way it is the decoder that writes, and what it read and wrote is what the answer's trace holds.

Then the decoder is shown the sentence of the answer alone, and only how it would begin is read: how probable it holds
an abstention there and before whole passages tells better together than either whether there is an answer at all. The
mean of the two log-odds decides.

The function's figures stand in `second_look.json`; `benchmarks/second_look.py` fits them.
"""

import dataclasses
import functools
import json
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm.types import Cancel, Decoder, Reluctance
from rag.answer_types import AskRequest, Drafted, search_query
from rag.confidence import log_odds
from rag.draft import is_abstention
from rag.errors import InvalidInputError
from rag.gate import readable
from rag.generate import Written, write_draft
from rag.markers import drop_markers
from rag.prompt import Prompt, build_evidence_prompt
from rag.prompt_passage import Evidence
from rag.table_rows import read_tables
from rag.text import content_words
from rag.types import Usage
from rag.verify.found_answers import AnswerPlace, FoundAnswer, LookedUp, QuestionReader

PARAMETERS = Path(__file__).with_name("second_look.json")
MOST_CHARS = 100  # of a draft that is looked at twice; a longer one is shown as it comes
_EPSILON = 1e-3  # drafts of a word or two are surer than they are right

Drafting = Generator[Drafted, None, Written]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Between two drafts: a logistic function of `drafts_compared`, and when a second one is written at all."""

    fitted_on: str
    least_gap: float  # log-odds by which another place must be likelier, for the decoder to be asked again
    bias: float
    weights: Mapping[str, float]

    def takes_second(self, values: Mapping[str, float]) -> bool:
        """Whether the second draft is the likelier one to be right."""
        return self.bias + sum(weight * values[name] for name, weight in self.weights.items()) > 0


@functools.cache
def load_choice(path: Path = PARAMETERS) -> Choice:
    """The figures of a file that `benchmarks/second_look.py` wrote, by default the shipped ones."""
    return Choice(**json.loads(path.read_text("utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """What looks twice, the same for every question."""

    reader: QuestionReader
    choice: Choice


def drafts_compared(
    first: Written, second: Written, found_first: FoundAnswer, found_second: FoundAnswer
) -> dict[str, float]:
    """What tells which of two drafts is right, by name; a probability that is not known counts as one half."""
    return {
        "said_more": found_second.said - found_first.said,
        "gap": found_first.gap,
        "found": found_second.best,
        "first_probability": _log_odds(first.token_probability),
        "second_probability": _log_odds(second.token_probability),
        "first_abstention": _log_odds(first.abstention_probability),
        "second_abstention": _log_odds(second.abstention_probability),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen where a draft was looked at twice."""

    first: Written
    looked: LookedUp
    markers: tuple[int, ...]  # of each piece of evidence that was looked up


@dataclass(slots=True, kw_only=True)
class Again:
    """One question on which the decoder may be asked twice."""

    request: AskRequest
    prompt: Prompt
    decoder: Decoder
    look: SecondLook
    max_sentences: int
    reluctance: Reluctance | None
    sure_abstention: float  # see `AnswerSettings`
    cancel: Cancel
    shown: bool = False  # whether anything of a draft was yielded
    seen: Seen | None = None  # once a draft was looked at twice

    def write(self, drafting: Drafting) -> Drafting:
        """What `drafting` yields and returns, or the second draft instead; of a short draft nothing is yielded.

        Raises:
            CancelledError: `cancel` was set.
        """
        held: list[Drafted] = []
        try:
            while True:
                try:
                    event = next(drafting)
                except StopIteration as end:
                    first: Written = end.value
                    break
                if self.shown:
                    yield event
                    continue
                held.append(event)
                if sum(len(one.text) for one in held) > MOST_CHARS and not self._withholds(event):
                    yield from held
                    self.shown = True
        finally:
            drafting.close()
        decided = first if self.shown else self._decide(first)
        if self._withholds(decided) and not is_abstention(decided.text):
            return dataclasses.replace(decided, abstains=True)
        return decided

    def _withholds(self, draft: Drafted | Written) -> bool:
        """Whether an abstention in place of a draft is probable enough for the draft not to be shown."""
        return (draft.abstention_probability or 0.0) > self.sure_abstention

    def _decide(self, first: Written) -> Written:
        """The draft that stands, with the costs of both."""
        if len(first.text) > MOST_CHARS or is_abstention(first.text):
            return first
        evidence = readable(self.prompt.passages)
        question = search_query(self.request.question, self.request.history)
        looked = self.look.reader.look_up(question, [row.text for row in evidence], cancel=self.cancel)
        found = looked.compare(drop_markers(first.text))
        if found.place is None:
            return first
        source = evidence[found.place.stretch.evidence]
        tables, _ = read_tables(source.text)
        if tables:  # what finds answers has read prose alone, and takes cells of other rows
            return first
        self.seen = Seen(first=first, looked=looked, markers=tuple(row.marker for row in evidence))
        stands, place = self._likelier(first, looked, found, source.marker)
        return self._read_alone(stands, place)

    def _likelier(
        self, first: Written, looked: LookedUp, found: FoundAnswer, marker: int
    ) -> tuple[Written, AnswerPlace]:
        """The likelier draft of two, where another place is much likelier, and where it stands."""
        assert found.place is not None
        place = found.said_place or found.place
        if -found.gap < self.look.choice.least_gap:
            return first, place
        second = self.ask_again(found.place.stretch.text)
        if second is None:
            return first, place
        both = with_costs(first, second)
        if is_abstention(second.text) or len(second.text) > MOST_CHARS or _same(first, second):
            return both, place
        found_second = looked.compare(drop_markers(second.text))
        if not self.look.choice.takes_second(drafts_compared(first, second, found, found_second)):
            return both, place
        taken = dataclasses.replace(
            cited_as(second, marker), usage=both.usage, generate_seconds=both.generate_seconds,
            first_token_seconds=first.first_token_seconds, abstention_probability=first.abstention_probability,
        )  # fmt: skip
        return taken, found_second.said_place or found.place

    def _read_alone(self, stands: Written, place: AnswerPlace) -> Written:
        """With how probable an abstention is where the sentence of the answer is all there is, counted in."""
        if stands.abstention_probability is None:
            return stands
        alone = self.ask_again(place.around(0), begins_only=True)
        if alone is None:
            return stands
        by_both = mean_probability(stands.abstention_probability, alone.abstention_probability)
        return dataclasses.replace(with_costs(stands, alone), abstention_probability=by_both)

    def ask_again(self, text: str, *, begins_only: bool = False) -> Written | None:
        """What the decoder writes from one text, or how that begins; None where the question leaves no room for it."""
        sampling = self.request.sampling
        try:
            prompt = build_evidence_prompt(
                self.request.question,
                (Evidence(id="1", text=text),),
                history=self.request.history,
                token_budget=self.request.prompt_tokens,
                count_tokens=self.decoder.count_prompt_tokens,
            )
        except InvalidInputError:
            return None
        drafting = write_draft(
            prompt,
            dataclasses.replace(sampling, max_new_tokens=1) if begins_only else sampling,
            self.decoder,
            max_sentences=self.max_sentences,
            reluctance=self.reluctance,
            show=False,
            cancel=self.cancel,
        )
        while True:
            try:
                next(drafting)
            except StopIteration as end:
                written: Written = end.value
                return written


def may_look_again(request: AskRequest, prompt: Prompt) -> bool:
    """Whether a request asks for the likeliest answer and for the verifier, and there are passages to look at."""
    sampling = request.sampling
    is_greedy = not sampling.temperature and sampling.num_beams == 1
    return request.mode == "grounded" and request.verify and bool(prompt.passages) and is_greedy


def _same(first: Written, second: Written) -> bool:
    one, other = (content_words(drop_markers(written.text)) for written in (first, second))
    return one == other


def cited_as(written: Written, marker: int) -> Written:
    """A draft from one piece of evidence, with the marker that this has in the whole prompt."""
    return dataclasses.replace(written, text=written.text.replace("[1]", f"[{marker}]"))


def with_costs(written: Written, more: Written) -> Written:
    """With what another reading took."""
    usage = Usage(
        prompt_tokens=written.usage.prompt_tokens + more.usage.prompt_tokens,
        completion_tokens=written.usage.completion_tokens + more.usage.completion_tokens,
    )
    seconds = written.generate_seconds + more.generate_seconds
    return dataclasses.replace(written, usage=usage, generate_seconds=seconds)


def mean_probability(one: float, other: float | None) -> float:
    """The probability whose log-odds are the mean of two; the first where the second is not known."""
    if other is None:
        return one
    return 1 / (1 + math.exp(-(log_odds(one, _EPSILON) + log_odds(other, _EPSILON)) / 2))


def _log_odds(probability: float | None) -> float:
    return log_odds(0.5 if probability is None else probability, _EPSILON)
