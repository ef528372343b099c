"""What is shipped of the verifier: changed weights as small differences, and the figures that belong to them.

`verifier.safetensors` holds the differences to the base encoder (`rag.weight_changes`). `verifier.json` holds name,
version, the base's SHA-256, the weights of the signals, the calibration, the threshold and the measured error,
`words.json` in how many training paragraphs each word stands. `large.safetensors` and `large.json` are the same of the
large encoder, which reads again what the verifier is unsure of.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import NotReadyError
from rag.verify.large_reader import LargeParameters, Mix
from rag.verify.types import VerifierInfo
from rag.verify.weighing import Parameters, Weighing
from rag.verify.windows import WordCounts
from rag.weight_changes import read_changed, write_changes

if TYPE_CHECKING:
    import torch

SHIPPED_FOLDER = Path(__file__).with_name("weights")
WEIGHTS_FILE = "verifier.safetensors"
PARAMETERS_FILE = "verifier.json"
WORDS_FILE = "words.json"
LARGE_WEIGHTS_FILE = "large.safetensors"
LARGE_PARAMETERS_FILE = "large.json"
N_OUTCOMES = 3  # logits of a pair of evidence and claim: supported, contradicted, unsupported
N_TOKEN_SCORES = 2  # of each token of the evidence: whether an answer begins there, and whether one ends there
_MIXES = ("short", "asked", "long")
_WEIGHINGS = ("short", "asked", "words", "model", "contradiction")


def read_parameters(folder: Path = SHIPPED_FOLDER) -> Parameters:
    """The figures of `verifier.json`.

    Raises:
        NotReadyError: the file is missing or is not one of this version.
    """
    row = _read(folder / PARAMETERS_FILE)
    try:
        weighings: dict[str, Any] = {name: Weighing(**row.pop(name)) for name in _WEIGHINGS}
        return Parameters(info=VerifierInfo(**row.pop("info")), **weighings, **row)
    except (KeyError, TypeError) as error:
        raise NotReadyError(f"{folder / PARAMETERS_FILE} is of another version; install the package again") from error


def write_parameters(parameters: Parameters, folder: Path) -> None:
    """Writes `verifier.json`."""
    _write(parameters, folder / PARAMETERS_FILE)


def read_large_parameters(folder: Path = SHIPPED_FOLDER) -> LargeParameters:
    """The figures of `large.json`.

    Raises:
        NotReadyError: the file is missing, is not one of this version, or belongs to another `verifier.json`.
    """
    path = folder / LARGE_PARAMETERS_FILE
    row = _read(path)
    try:
        mixes: dict[str, Any] = {name: Mix(**row.pop(name)) for name in _MIXES}
        parameters = LargeParameters(info=VerifierInfo(**row.pop("info")), **mixes, **row)
    except (KeyError, TypeError) as error:
        raise NotReadyError(f"{path} is of another version; install the package again") from error
    if parameters.verifier_sha256 != sha256_of_parameters(folder):
        raise NotReadyError(
            f"{path} belongs to another verifier than {PARAMETERS_FILE} beside it; install the package again, or run "
            "citebound train verifier --large"
        )
    return parameters


def write_large_parameters(parameters: LargeParameters, folder: Path) -> None:
    """Writes `large.json`."""
    _write(parameters, folder / LARGE_PARAMETERS_FILE)


def sha256_of_parameters(folder: Path) -> str:
    """The SHA-256 of `verifier.json`."""
    return hashlib.sha256((folder / PARAMETERS_FILE).read_bytes()).hexdigest()


def read_words(folder: Path = SHIPPED_FOLDER) -> WordCounts:
    """The word counts of `words.json`.

    Raises:
        NotReadyError: the file is missing.
    """
    row = _read(folder / WORDS_FILE)
    counts = {word: int(count) for count, listed in row["words"].items() for word in listed.split()}
    return WordCounts(n_texts=int(row["n_texts"]), n_with=counts)


def write_words(counts: WordCounts, folder: Path) -> None:
    """Writes `words.json`: the words of each count in one line."""
    by_count: dict[int, list[str]] = {}
    for word, count in counts.n_with.items():
        by_count.setdefault(count, []).append(word)
    listed = {str(count): " ".join(sorted(by_count[count])) for count in sorted(by_count)}
    text = json.dumps({"n_texts": counts.n_texts, "words": listed}, ensure_ascii=False, indent=0)
    (folder / WORDS_FILE).write_text(text + "\n", encoding="utf-8")


def average(models: Sequence[Path], out: Path) -> None:
    """Writes the mean of the weights of several models of one kind, with the other files of the first, to `out`.

    The mean of two stages of one training keeps what either was better at (Wortsman et al., ICML 2022).
    """
    from safetensors.torch import load_file, save_file

    loaded = [load_file(model / "model.safetensors") for model in models]
    out.mkdir(parents=True, exist_ok=True)
    for path in models[0].iterdir():
        if path.is_file() and path.name != "model.safetensors":
            shutil.copyfile(path, out / path.name)
    mean = {name: sum(weights[name].float() for weights in loaded) / len(loaded) for name in loaded[0]}
    save_file(mean, out / "model.safetensors")


def write_weights(trained: Path, base_folder: Path, folder: Path) -> None:
    """Writes how the trained classifier in `trained` differs from its base; unchanged tensors are left out."""
    write_changes(trained, base_folder, folder / WEIGHTS_FILE)


def read_weights(base_folder: Path, folder: Path = SHIPPED_FOLDER) -> "dict[str, torch.Tensor]":
    """Every tensor of the classifier, float32: the base's with the shipped differences added.

    Raises:
        NotReadyError: a file is missing.
    """
    return read_changed(base_folder, folder / WEIGHTS_FILE)


def _write(parameters: Parameters | LargeParameters, path: Path) -> None:
    text = json.dumps(dataclasses.asdict(parameters), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NotReadyError(f"{path} is missing; install the package again or train a verifier")
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row
