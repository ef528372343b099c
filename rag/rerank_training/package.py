"""Makes of a trained cross-encoder what is shipped: quantized weights, fitted figures and a model card."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm.types import Device
from rag.cross_encoder import CrossEncoder
from rag.rerank.fused import load_pair_model
from rag.rerank.shipped import WEIGHTS_FILE, Parameters, write_parameters
from rag.rerank.signals import FEATURES
from rag.rerank_training.fit import Say, fit_both, measure, measure_seconds, read_questions
from rag.rerank_training.lists import MAX_DEPTH, RankedQuestion
from rag.weight_changes import sha256_of_base, write_changes

CARD_FILE = "model_card.md"
NAME = "citebound-reranker"
VERSION = "1"
_DEPTHS = (8, 10, MAX_DEPTH)  # measured beside the one that is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Searched questions of articles that the cross-encoder was not trained on."""

    fit: Sequence[RankedQuestion]
    test: Sequence[RankedQuestion]  # held-out articles, passages without headings
    test_headed: Sequence[RankedQuestion]  # passages with their article's title as heading


def make_package(
    trained: Path | None, base_folder: Path, out: Path, device: Device, *, depth: int, held: Held, about: str, say: Say
) -> Parameters:
    """Writes everything that `rag.rerank.fused.load_reranker` reads, and `model_card.md`, to `out`.

    What is fitted and measured is the quantized model, read back from `out`, on `device`.

    Args:
        trained: the folder that `train_cross_encoder` returned; None: a reranker without a cross-encoder.
        base_folder: the base encoder.
        out: created where missing; files in it are replaced.
        device: where passages are read.
        depth: hits that are read for a question, at most `lists.MAX_DEPTH`.
        held: what is fitted and measured on.
        about: command, seed and data of the training, for the card: lines of a list in Markdown.
        say: hears what is being done.
    """
    out.mkdir(parents=True, exist_ok=True)
    model: CrossEncoder | None = None
    if trained is None:
        (out / WEIGHTS_FILE).unlink(missing_ok=True)
    else:
        write_changes(trained, base_folder, out / WEIGHTS_FILE)
        model = load_pair_model(base_folder, out, device)
    with contextlib.closing(model) if model is not None else contextlib.nullcontext():
        say("reading the questions that the fusion is fitted on")
        fit = read_questions(held.fit, model, say)
        say("reading held-out questions")
        test, headed = (read_questions(lists, model, say) for lists in (held.test, held.test_headed))
        seconds = {str(n): measure_seconds(held.test, model, n) for n in sorted({*_DEPTHS, depth})}
    measured = {}
    for n in sorted({*_DEPTHS, depth}):
        measured[f"held_out_depth_{n}"] = measure(test, *fit_both(fit, n), n)
    fusion, without_model = fit_both(fit, depth)
    parameters = Parameters(
        name=NAME,
        version=VERSION,
        base_sha256=None if trained is None else sha256_of_base(base_folder),
        depth=depth,
        weights=dict(zip(FEATURES, (round(float(weight), 6) for weight in fusion.weights), strict=True)),
        bias=round(fusion.bias, 6),
        measured={
            **measured,
            "held_out_headed": measure(headed, fusion, without_model, depth),
            "seconds_by_depth": seconds,
        },
    )
    write_parameters(parameters, out)
    (out / CARD_FILE).write_text(_card(parameters, about, held), encoding="utf-8")
    return parameters


def _card(parameters: Parameters, about: str, held: Held) -> str:
    """The model card."""
    base = (
        "- **Base**: none; five figures in `reranker.json` are all there is.\n"
        if parameters.base_sha256 is None
        else f"""- **Base**: all-MiniLM-L6-v2 (Apache-2.0), SHA-256 of `model.safetensors` {parameters.base_sha256}. Its
  weights are not here: `{WEIGHTS_FILE}` holds the differences that training made, int8 a row; word and position
  embeddings are unchanged.
"""
    )
    what = (
        "A logistic function of rank, cosine, BM25 and shared words of a search"
        if parameters.base_sha256 is None
        else "A cross-encoder over (passage with its heading, question) and a logistic function that adds rank, "
        "cosine, BM25 and shared words of the search"
    )
    return f"""# {parameters.name} {parameters.version}

{what}: the probability that a passage is the one that was asked about. It puts the first {parameters.depth} hits of a
search in order. See `docs/retrieval.md`.

{base}\
- **Data**: paragraphs and questions of SQuAD 1.1 train (Rajpurkar et al., 2016; CC BY-SA 4.0); no text of it is in the
  files here. Wrong passages are those that the search ranks high. Articles whose title's SHA-256 begins with a byte
  below 26 were never trained or fitted on.
- **Licence**: Apache-2.0, as this project.
{about}
- **Fitted on** {len(held.fit)} questions of articles kept for it; **measured on**
  {len(held.test)} questions of held-out articles whose passages have no heading, and {len(held.test_headed)} whose
  passages have their article's title as heading.

## What it cannot do
It was fitted to English questions written by people who saw the paragraph. It orders what the search found and finds
nothing new. It orders {parameters.depth} hits; a cross-encoder reads of a long passage the beginning.

## Measured
`search` is the order of the fused search, the trivial method; `without_model` the logistic function over the search's
own signals; `model_alone` the cross-encoder's logits where there is one; `reranked` what is shipped. Recall counts all
questions, also those whose paragraph is not among the hits. Seconds are the median of scoring one question's hits on
the training machine.
```
{json.dumps(parameters.measured, indent=1)}
```
"""
