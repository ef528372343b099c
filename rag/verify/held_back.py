"""Cases that are kept from training: what the verifier's figures are fitted to and measured on."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.text import content_words
from rag.verify.built_pairs import LONG_RECIPES, PairBuilder
from rag.verify.checks import names_of
from rag.verify.pairs import Part, TrainingPair, joined, only, part_of, read_labelled, read_paragraphs
from rag.verify.rival_pairs import RivalBuilder
from rag.verify.train import PAIRS_FILE, PARAGRAPHS_FILE
from rag.verify.two_step_pairs import TwoStepBuilder
from rag.verify.types import StatedClaim

_BUILT_FOR_ASKED = 3  # pairs are built for each that is read after a question


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One claim with the evidence texts that a verifier is given, and what is right."""

    claim: StatedClaim
    evidence: tuple[str, ...]
    label: int  # of rag.verify.pairs
    source: str


def as_claim(text: str) -> StatedClaim:
    """A training claim as an answer's claim: what follows a question mark is the answer to what stands before it."""
    asked, mark, said = text.rpartition("? ")
    question = f"{asked}?" if mark else None
    return StatedClaim(text=said, start=0, end=len(said), question=question)


def held_back_cases(
    data: Path,
    part: Part,
    *,
    n_labelled: int | None,
    n_built: int,
    seed: int,
    n_long: int = 0,
    n_asked: int = 0,
    n_two_step: int = 0,
    n_beside: int = 0,
) -> list[Case]:
    """Cases of one part: labelled pairs, half of them among foreign evidence, and pairs built from SQuAD likewise.

    `n_long` more are claims of several facts, a third of them joined from labelled pairs, `n_asked` more built ones are
    read after a question, `n_two_step` after one in two steps, and `n_beside` stand beside others of their kind, half
    of these as statements.
    """
    rng = random.Random(seed)
    labelled = only(read_labelled(data / PAIRS_FILE), part)
    rng.shuffle(labelled)
    texts = [pair.evidence for pair in labelled]
    long = joined(labelled, rng) if n_long else []
    rng.shuffle(long)
    long = long[: n_long // 3]
    cases = [_case(pair, texts, rng) for pair in labelled[:n_labelled]]
    paragraphs = [p for p in read_paragraphs(data / PARAGRAPHS_FILE) if part_of(p.title) == part]
    texts = [paragraph.text for paragraph in paragraphs]
    builder = PairBuilder(paragraphs, rng)
    long += builder.build(n_long - len(long), LONG_RECIPES)
    built = [*builder.build(n_built), *long]
    asked = [pair for pair in builder.build(_BUILT_FOR_ASKED * n_asked) if as_claim(pair.claim).question is not None]
    two_step = TwoStepBuilder(paragraphs, rng).build(n_two_step) if n_two_step else []
    beside: list[TrainingPair] = []
    if n_beside:
        beside += RivalBuilder(paragraphs, rng).build(n_beside - n_beside // 2)
        beside += RivalBuilder(paragraphs, rng, is_stated=True).build(n_beside // 2)
    cases += [_case(pair, texts, rng) for pair in [*built, *asked[:n_asked], *two_step, *beside]]
    rng.shuffle(cases)
    return cases


def _case(pair: TrainingPair, others: Sequence[str], rng: random.Random) -> Case:
    """The pair alone, or with its evidence among one to four texts that share no name with the claim."""
    evidence = [pair.evidence]
    if rng.random() < 0.5:
        names = {term for name in names_of(f"So {pair.claim}") for term in content_words(name)}
        drawn = rng.sample(others, min(rng.randrange(1, 5), len(others)))
        evidence += [text for text in drawn if not names.intersection(content_words(text))]
        rng.shuffle(evidence)
    return Case(claim=as_claim(pair.claim), evidence=tuple(evidence), label=pair.label, source=pair.source)
