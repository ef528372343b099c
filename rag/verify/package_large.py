"""Makes of what the large encoder learnt what is shipped: its figures, fitted beside a verifier, and a model card."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from llm.types import Device
from rag.cross_encoder import load_cross_encoder
from rag.large_cross_encoder import load_large_cross_encoder
from rag.verify.fit import is_labelled
from rag.verify.fit_large import ReadAgain, fit_large, measure_large, read_twice
from rag.verify.large_reader import LargeParameters
from rag.verify.package import Held, measured_info
from rag.verify.pairs import Part
from rag.verify.rival_pairs import is_rival
from rag.verify.shipped import (
    LARGE_WEIGHTS_FILE,
    N_OUTCOMES,
    N_TOKEN_SCORES,
    PARAMETERS_FILE,
    SHIPPED_FOLDER,
    WEIGHTS_FILE,
    WORDS_FILE,
    read_parameters,
    read_weights,
    read_words,
    sha256_of_parameters,
    write_large_parameters,
)
from rag.verify.two_step_pairs import is_two_step
from rag.verify.types import VerifierInfo
from rag.weight_changes import sha256_of_base

CARD_FILE = "large_model_card.md"
NAME = "citebound-verifier-large"
VERSION = "3"


def make_large_package(
    learnt: Path,
    bases: tuple[Path, Path],
    data: Path,
    out: Path,
    device: Device,
    *,
    command: str,
    held: Held,
    report: Callable[[str, int, int], None] = lambda part, n_read, n_cases: None,
) -> LargeParameters:
    """Writes everything that `rag.verify.judge.load_judge` reads with a large encoder, and its model card, to `out`.

    The verifier that it stands beside is the one in `out`, or the shipped one, which is copied there.

    Args:
        learnt: the file that `train_large` returned.
        bases: the folders of the encoders that verifier and large encoder were trained from.
        data: the folder with verify_train/ and squad_train/.
        out: created where missing; files in it are replaced.
        device: where pairs are read.
        command: the command line that trained it, for the card.
        held: how many cases.
        report: hears of the part, "calibration" or "test", how many of its cases were read, and how many there are.
    """
    base, large_base = bases
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, PARAMETERS_FILE, WORDS_FILE):
        if not (out / name).is_file():
            shutil.copyfile(SHIPPED_FOLDER / name, out / name)
    if learnt.resolve() != (out / LARGE_WEIGHTS_FILE).resolve():
        shutil.copyfile(learnt, out / LARGE_WEIGHTS_FILE)
    parameters, counts = read_parameters(out), read_words(out)
    model = load_cross_encoder(
        base, read_weights(base, out), device, n_outcomes=N_OUTCOMES, n_token_scores=N_TOKEN_SCORES
    )
    large = load_large_cross_encoder(large_base, out / LARGE_WEIGHTS_FILE, device, n_outcomes=N_OUTCOMES)

    def read(part: Part) -> ReadAgain:
        cases = held.cases(data, part, for_large=True)
        return read_twice(
            cases, model, parameters, counts, large, report=lambda n_read: report(part, n_read, len(cases))
        )

    try:
        calibration, test = read("calibration"), read("test")
    finally:
        model.close()
        large.close()
    fitted = fit_large(calibration, VerifierInfo(name=NAME, version=VERSION, threshold=parameters.info.threshold))
    labelled = measure_large(test, fitted, is_labelled)
    fitted = dataclasses.replace(
        fitted,
        info=measured_info(fitted.info, labelled),
        base_sha256=sha256_of_base(large_base),
        verifier_sha256=sha256_of_parameters(out),
        measured={
            "verify_train_test": labelled,
            "built_test": measure_large(
                test, fitted, lambda source: not (is_labelled(source) or is_two_step(source) or is_rival(source))
            ),
            "two_step_test": measure_large(test, fitted, is_two_step),
            "beside_test": measure_large(test, fitted, is_rival),
        },
    )
    write_large_parameters(fitted, out)
    (out / CARD_FILE).write_text(_card(fitted, command), encoding="utf-8")
    return fitted


def _card(parameters: LargeParameters, command: str) -> str:
    """The model card."""
    info = parameters.info
    return f"""# {info.name} {info.version}

A second cross-encoder over (evidence, claim) with three outcomes, which reads again what the verifier beside it is
unsure of, and the figures that mix both. See `docs/verifier.md`.

- **Base**: all-mpnet-base-v2 (Apache-2.0), SHA-256 of `model.safetensors` {parameters.base_sha256}. Its weights are not
  here: `large.safetensors` holds low-rank changes (LoRA) of its upper layers and the new last layers, int8 a row.
- **Data**: FEVER and FoolMeTwice development sets (`verify_train`; Wikipedia text, CC BY-SA 3.0 and CC BY-SA) and
  claims built from SQuAD 1.1 train (CC BY-SA 4.0). No example is contained in the files here.
- **Licence**: Apache-2.0, as the base and this project.
- **Command**: `{command}`
- **Fitted on** the calibration part, measured on the test part; both are held back from training by a hash of the
  evidence text (articles for built pairs).
- **Threshold**: {info.threshold} (that of the verifier, where it is within 0.01 of the best balanced accuracy, the
  mean over short claims, answers after their question and long claims of the calibration part; else the middle of those
  that are).

## Measured, verifier and large encoder together
```
{json.dumps(parameters.measured, indent=1)}
```
"""
