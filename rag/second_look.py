"""Asks the decoder again where the evidence seems to answer otherwise than it did, and keeps the likelier draft.

A short draft is compared with where the verifier's encoder finds the answer (`rag.verify.found_answers`). If another
place is much likelier, the decoder is shown that stretch of evidence alone. The second draft stands where a logistic
function of how likely both are, by the encoder and by the decoder itself, says that it is the right one of the two.
Either way it is the decoder that writes, and what it read and wrote is what the answer's trace holds.

The function's figures stand in `second_look.json`; `benchmarks/second_look.py` fits them.
"""

import dataclasses
import functools
import json
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
from rag.verify.found_answers import FoundAnswer, QuestionReader

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
class Again:
    """One question on which the decoder may be asked twice."""

    request: AskRequest
    prompt: Prompt
    decoder: Decoder
    look: SecondLook
    max_sentences: int
    reluctance: Reluctance | None
    show: bool
    cancel: Cancel

    def write(self, drafting: Drafting) -> Drafting:
        """What `drafting` yields and returns, or the second draft instead; a short draft is shown once it is decided.

        Raises:
            CancelledError: `cancel` was set.
        """
        held: list[Drafted] | None = []
        try:
            while True:
                try:
                    event = next(drafting)
                except StopIteration as end:
                    first: Written = end.value
                    break
                if held is None:
                    yield event
                    continue
                held.append(event)
                if sum(len(one.text) for one in held) > MOST_CHARS:
                    yield from held
                    held = None
        finally:
            drafting.close()
        decided = self._decide(first) if held is not None else first
        if decided.text != first.text and self.show:
            yield Drafted(text=decided.text)
        elif held is not None:
            yield from held
        return decided

    def _decide(self, first: Written) -> Written:
        """The draft that stands, with the costs of both."""
        if len(first.text) > MOST_CHARS or is_abstention(first.text):
            return first
        evidence = readable(self.prompt.passages)
        question = search_query(self.request.question, self.request.history)
        looked = self.look.reader.look_up(question, [row.text for row in evidence], cancel=self.cancel)
        found = looked.compare(drop_markers(first.text))
        if found.stretch is None or -found.gap < self.look.choice.least_gap:
            return first
        source = evidence[found.stretch.evidence]
        tables, _ = read_tables(source.text)
        if tables:  # what finds answers has read prose alone, and takes cells of other rows
            return first
        second = self.ask_again(found.stretch.text)
        if second is None:
            return first
        both = _with_both_costs(first, first, second)
        if is_abstention(second.text) or len(second.text) > MOST_CHARS or _same(first, second):
            return both
        compared = drafts_compared(first, second, found, looked.compare(drop_markers(second.text)))
        if not self.look.choice.takes_second(compared):
            return both
        marked = dataclasses.replace(second, text=second.text.replace("[1]", f"[{source.marker}]"))
        return _with_both_costs(marked, first, second)

    def ask_again(self, text: str) -> Written | None:
        """What the decoder writes from one text; None where the question leaves no room for it."""
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
            self.request.sampling,
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


def _with_both_costs(written: Written, first: Written, second: Written) -> Written:
    """What both drafts took; what the first prompt alone tells stays that of the first."""
    return dataclasses.replace(
        written,
        usage=Usage(
            prompt_tokens=first.usage.prompt_tokens + second.usage.prompt_tokens,
            completion_tokens=first.usage.completion_tokens + second.usage.completion_tokens,
        ),
        first_token_seconds=first.first_token_seconds,
        generate_seconds=first.generate_seconds + second.generate_seconds,
        abstention_probability=first.abstention_probability,
    )


def _log_odds(probability: float | None) -> float:
    return log_odds(0.5 if probability is None else probability, _EPSILON)
