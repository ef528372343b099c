"""What is shipped of the verifier: changed weights as small differences, and the figures that belong to them.

`verifier.safetensors` holds, for every tensor that training changed, its difference to the base encoder in int8 with
one scale a row (symmetric, scale = max |difference| / 127), or in fp16 where it has one dimension. `verifier.json`
holds name, version, the base's SHA-256, the weights of the signals, the calibration, the threshold and the measured
error, `words.json` in how many training paragraphs each word stands.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import NotReadyError
from rag.verify.types import VerifierInfo
from rag.verify.weighing import Parameters, Weighing
from rag.verify.windows import WordCounts

if TYPE_CHECKING:
    import torch

SHIPPED_FOLDER = Path(__file__).with_name("weights")
WEIGHTS_FILE = "verifier.safetensors"
PARAMETERS_FILE = "verifier.json"
WORDS_FILE = "words.json"
_PREFIX = "bert."  # of the encoder's tensors in a classifier
_STEPS = 127  # of an int8
_WEIGHINGS = ("short", "words", "model", "contradiction")


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
    text = json.dumps(dataclasses.asdict(parameters), indent=1, ensure_ascii=False)
    (folder / PARAMETERS_FILE).write_text(text + "\n", encoding="utf-8")


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
    import torch
    from safetensors.torch import load_file, save_file

    base = load_file(base_folder / "model.safetensors")
    shipped: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(trained / "model.safetensors").items():
        before = base.get(name.removeprefix(_PREFIX))
        change = tensor.float() - before.float() if before is not None else tensor.float()
        if before is not None and not change.any():
            continue
        if change.dim() < 2:
            shipped[name] = change.half()
            continue
        scale = change.abs().amax(dim=1).clamp_min(1e-12) / _STEPS
        shipped[name] = torch.round(change / scale[:, None]).to(torch.int8)
        shipped[f"{name}.scale"] = scale
    save_file(shipped, folder / WEIGHTS_FILE)


def read_weights(base_folder: Path, folder: Path = SHIPPED_FOLDER) -> "dict[str, torch.Tensor]":
    """Every tensor of the classifier, float32: the base's with the shipped differences added.

    Raises:
        NotReadyError: a file is missing.
    """
    import torch
    from safetensors.torch import load_file

    for path in (base_folder / "model.safetensors", folder / WEIGHTS_FILE):
        if not path.is_file():
            raise NotReadyError(f"{path} is missing; run citebound models pull all-MiniLM-L6-v2, or reinstall")
    base = load_file(base_folder / "model.safetensors")
    shipped = load_file(folder / WEIGHTS_FILE)
    weights = {f"{_PREFIX}{name}": tensor.float() for name, tensor in base.items() if tensor.is_floating_point()}
    for name, tensor in shipped.items():
        if name.endswith(".scale"):
            continue
        scale = shipped.get(f"{name}.scale")
        change = tensor.float() if scale is None else tensor.float() * scale[:, None]
        before = weights.get(name)
        weights[name] = torch.clone(change) if before is None else before + change
    return weights


def sha256_of_base(base_folder: Path) -> str:
    """The SHA-256 of the base encoder's weights."""
    with (base_folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NotReadyError(f"{path} is missing; install the package again or train a verifier")
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row
