"""Drafts cases from a person's own documents, for that person to edit: questions with the answer and its passage.

A fact is taken from a sentence: a number with its unit, a date or a name. The decoder writes the question; where there
is none, or what it wrote is no question or gives the answer away, the sentence is asked with a gap. The same passages,
seed and decoder draft the same cases.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.types import Cancel, Decoder, Request, SamplingParams
from rag.errors import InvalidInputError
from rag.evaluation.draft_prompt import draft_messages
from rag.evaluation.scoring import contains_reference
from rag.evaluation.types import Case
from rag.text import split_sentences
from rag.types import Passage

MAX_DRAFTED = 1000
_MIN_WORDS, _MAX_WORDS = 8, 45  # of a sentence that is asked about
_MAX_QUESTION_TOKENS = 48
_MAX_QUESTION_CHARS = 300
_MIN_QUESTION_WORDS = 4
_PASSAGES_A_CASE = 5  # looked at for each case that is wanted, before giving up
_GAP = "____"
_OPENS_UNCLEAR = re.compile(
    r"(?:it|its|he|his|she|her|they|their|this|that|these|those|such|here|there|and|but)\b", re.I
)
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_FACTS = (
    re.compile(rf"\b\d{{1,2}} (?:{_MONTH}) \d{{4}}\b|\b(?:{_MONTH}) \d{{1,2}}, \d{{4}}\b"),
    re.compile(r"(?<![\w.,])[$€£]?\d[\d,.]*\d(?: ?%| (?:percent|million|billion|thousand))?(?!\w)"),
    re.compile(r"(?<![\w.,])\d(?: ?%)?(?![\w.,])"),
    re.compile(r"(?<=[a-z,] )[A-Z][\w’'-]+(?: (?:of |de |von |the )?[A-Z][\w’'-]+){0,3}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    sentence: str
    answer: str
    start: int  # of the answer in the sentence


def draft_cases(
    passage_ids: Sequence[int],
    passages: Callable[[Sequence[int]], Sequence[Passage]],
    n: int,
    *,
    seed: int,
    decoder: Decoder | None = None,
    cancel: Cancel | None = None,
) -> tuple[Case, ...]:
    """At most `n` cases, one a passage, of passages drawn at random; fewer where not enough of them state a fact.

    Args:
        passage_ids: The passages to draw from.
        passages: Reads some of them.
        n: 1 to `MAX_DRAFTED`.
        seed: Of the draw.
        decoder: Writes the questions; None asks every sentence with a gap.
        cancel: Stops the decoder.

    Raises:
        InvalidInputError: `n` is out of range, there are no passages, or none of them states a fact.
        CancelledError: `cancel` was set.
    """
    if not 1 <= n <= MAX_DRAFTED:
        raise InvalidInputError(f"n must be a whole number from 1 to {MAX_DRAFTED}")
    if not passage_ids:
        raise InvalidInputError("the collection holds no passages to draft from; add documents first")
    rng = random.Random(seed)
    drawn = rng.sample(sorted(passage_ids), min(len(passage_ids), n * _PASSAGES_A_CASE))
    cases: list[Case] = []
    asked: set[str] = set()
    for passage in passages(drawn):
        if len(cases) == n:
            break
        fact = _draw_fact(passage.text, rng)
        if fact is None:
            continue
        question = _question(fact, passage, decoder, cancel)
        if question in asked:
            continue
        asked.add(question)
        cases.append(
            Case(
                case_id=f"draft-{len(cases) + 1}",
                question=question,
                reference_answers=(fact.answer,),
                document=passage.document_name,
                gold_passages=(passage.text.strip(),),
                drafted=True,
            )
        )
    if not cases:
        raise InvalidInputError("no passage states a number, date or name to ask about; write the cases by hand")
    return tuple(cases)


def _draw_fact(text: str, rng: random.Random) -> _Fact | None:
    facts = []
    for span in split_sentences(text):
        sentence = " ".join(span.cut(text).split())
        words = sentence.split()
        if not _MIN_WORDS <= len(words) <= _MAX_WORDS or sentence.endswith("?") or _OPENS_UNCLEAR.match(sentence):
            continue
        for pattern in _FACTS:
            found = list(pattern.finditer(sentence))
            if found:
                facts += [_Fact(sentence=sentence, answer=match.group(), start=match.start()) for match in found]
                break  # a date says more than a name in the same sentence
    return facts[rng.randrange(len(facts))] if facts else None


def _question(fact: _Fact, passage: Passage, decoder: Decoder | None, cancel: Cancel | None) -> str:
    written = None if decoder is None else _written(fact, passage, decoder, cancel or Cancel())
    if written is not None:
        return written
    end = fact.start + len(fact.answer)
    return f"What belongs in the gap? “{fact.sentence[: fact.start]}{_GAP}{fact.sentence[end:]}”"


def _written(fact: _Fact, passage: Passage, decoder: Decoder, cancel: Cancel) -> str | None:
    """The decoder's question, if it is one and does not give the answer away."""
    messages = draft_messages(passage.heading or passage.document_name, fact.sentence, fact.answer)
    sampling = SamplingParams(max_new_tokens=_MAX_QUESTION_TOKENS, stop=("\n",))
    (generation,) = decoder.generate([Request(messages=messages, sampling=sampling, cancel=cancel)])
    cancel.raise_if_set()
    text = " ".join(generation.text.split())
    question = text[: text.find("?") + 1].strip(" \"'“”")
    fits = len(question.split()) >= _MIN_QUESTION_WORDS and len(question) <= _MAX_QUESTION_CHARS
    return question if fits and not contains_reference(question, [fact.answer]) else None
