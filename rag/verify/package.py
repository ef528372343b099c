"""Makes of a trained cross-encoder what is shipped: quantized weights, word counts, fitted figures and a model card."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm.types import Device
from rag.cross_encoder import load_cross_encoder
from rag.verify.fit import (
    contradiction_f1,
    count_words,
    fit_parameters,
    is_labelled,
    measure,
    read_cases,
    take,
)
from rag.verify.held_back import Case, held_back_cases
from rag.verify.pairs import Part, part_of, read_paragraphs
from rag.verify.shipped import (
    N_OUTCOMES,
    N_TOKEN_SCORES,
    read_weights,
    read_words,
    write_parameters,
    write_weights,
    write_words,
)
from rag.verify.train import PARAGRAPHS_FILE
from rag.verify.types import VerifierInfo
from rag.verify.weighing import Parameters
from rag.weight_changes import sha256_of_base

CARD_FILE = "model_card.md"
NAME = "citebound-verifier"
VERSION = "3"
_MEASURED_ON = "verify_train, held back by evidence text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How many held-back cases are read; None: all labelled ones."""

    n_labelled: int | None = None
    n_built: int = 1_500
    n_long: int = 900  # claims of several facts
    n_asked: int = 1_500  # more claims that are read after a question
    n_two_step: int = 600  # more after questions in two steps; for the large encoder
    n_beside: int = 600  # more beside others of their kind; for the large encoder
    seed: int = 0

    def cases(self, data: Path, part: Part, *, for_large: bool = False) -> list[Case]:
        """Those of one part, with those that only the large encoder is fitted to or without."""
        return held_back_cases(
            data,
            part,
            n_labelled=self.n_labelled,
            n_built=self.n_built,
            n_long=self.n_long,
            n_asked=self.n_asked,
            n_two_step=self.n_two_step if for_large else 0,
            n_beside=self.n_beside if for_large else 0,
            seed=self.seed,
        )


def make_package(
    trained: Path, base_folder: Path, data: Path, out: Path, device: Device, *, command: str, held: Held
) -> Parameters:
    """Writes everything that `rag.verify.judge.load_judge` reads, and `model_card.md`, to `out`.

    What is fitted and measured is the quantized model, read back from `out`, on `device`.

    Args:
        trained: the folder that `train_stages` or `train_verifier` returned.
        base_folder: the encoder that training started from.
        data: the folder with verify_train/ and squad_train/.
        out: created where missing; files in it are replaced.
        device: where pairs are read.
        command: the command line that trained it, for the card.
        held: how many cases.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_weights(trained, base_folder, out)
    paragraphs = read_paragraphs(data / PARAGRAPHS_FILE)
    write_words(count_words(paragraph for paragraph in paragraphs if part_of(paragraph.title) == "train"), out)
    counts = read_words(out)
    model = load_cross_encoder(
        base_folder, read_weights(base_folder, out), device, n_outcomes=N_OUTCOMES, n_token_scores=N_TOKEN_SCORES
    )
    try:
        calibration = read_cases(held.cases(data, "calibration"), model, counts)
        test = read_cases(held.cases(data, "test"), model, counts)
    finally:
        model.close()
    parameters = fit_parameters(calibration, name=NAME, version=VERSION, base_sha256=sha256_of_base(base_folder))
    labelled = measure(take(test, is_labelled), parameters)
    measured = {
        "verify_train_test": labelled,
        "built_test": measure(take(test, lambda source: not is_labelled(source)), parameters),
        "contradicted_f1_built_test": round(
            contradiction_f1(take(test, lambda source: not is_labelled(source)), parameters), 4
        ),
    }
    parameters = dataclasses.replace(
        parameters,
        info=measured_info(parameters.info, labelled),
        measured=measured,
    )
    write_parameters(parameters, out)
    (out / CARD_FILE).write_text(_card(parameters, command), encoding="utf-8")
    return parameters


def measured_info(info: VerifierInfo, labelled: Mapping[str, float | int]) -> VerifierInfo:
    """With the error that was measured on the labelled cases of the test part."""
    return dataclasses.replace(
        info,
        balanced_accuracy=labelled["balanced_accuracy"],
        ece=labelled["ece"],
        brier=labelled["brier"],
        measured_on=_MEASURED_ON,
    )


def _card(parameters: Parameters, command: str) -> str:
    """The model card."""
    info = parameters.info
    return f"""# {info.name} {info.version}

A cross-encoder over (evidence, claim) with three outcomes, supported, contradicted and unsupported, and the figures
that make verdicts of its logits; two more rows of its last layer find where evidence answers a question. See
`docs/verifier.md` for how it is used and what it cannot do.

- **Base**: all-MiniLM-L6-v2 (Apache-2.0), SHA-256 of `model.safetensors` {parameters.base_sha256}. Its weights are
  not here: `verifier.safetensors` holds the differences that training made, int8 a row; word and position embeddings
  are unchanged.
- **Data**: FEVER and FoolMeTwice development sets (`verify_train`; Wikipedia text, CC BY-SA 3.0 and CC BY-SA) and
  claims and questions from SQuAD 1.1 train (CC BY-SA 4.0). No example is contained in the files here; `words.json`
  counts the paragraphs of SQuAD 1.1 train that hold each word.
- **Licence**: Apache-2.0, as the base and this project.
- **Command**: `{command}`
- **Fitted on** the calibration part, measured on the test part; both are held back from training by a hash of the
  evidence text (articles for built pairs).
- **Threshold**: {info.threshold} (the middle of those within 0.01 of the best balanced accuracy on the labelled
  pairs of the calibration part).

## Measured
```
{json.dumps(parameters.measured, indent=1)}
```
"""
