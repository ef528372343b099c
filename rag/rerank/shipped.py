"""What is shipped of the reranker: figures in `reranker.json`, and the differences of a cross-encoder if it has one."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import NotReadyError
from rag.rerank.signals import FEATURES, Array

SHIPPED_FOLDER = Path(__file__).with_name("weights")
WEIGHTS_FILE = "reranker.safetensors"
PARAMETERS_FILE = "reranker.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The figures of one reranker."""

    name: str
    version: str
    base_sha256: str | None  # of the model.safetensors that its cross-encoder was trained from; None: it has none
    depth: int  # hits that are put in order
    weights: Mapping[str, float]  # by name of FEATURES
    bias: float
    measured: Mapping[str, Any] = field(default_factory=dict)  # for people

    def log_odds(self, values: Array) -> Array:
        """(n,) from (n, len(FEATURES)): that a hit holds what is asked for."""
        weights = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        return np.asarray(values @ weights + self.bias, dtype=np.float64)


def is_shipped(folder: Path = SHIPPED_FOLDER) -> bool:
    """Whether there is a reranker in `folder`."""
    return (folder / PARAMETERS_FILE).is_file()


def read_parameters(folder: Path = SHIPPED_FOLDER) -> Parameters:
    """The figures of `reranker.json`.

    Raises:
        NotReadyError: the file is missing or is not one of this version.
    """
    path = folder / PARAMETERS_FILE
    if not path.is_file():
        raise NotReadyError(f"{path} is missing; set reranker to none or train one")
    try:
        return Parameters(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise NotReadyError(f"{path} is of another version; install the package again") from error


def write_parameters(parameters: Parameters, folder: Path) -> None:
    """Writes `reranker.json`."""
    text = json.dumps(dataclasses.asdict(parameters), indent=1, ensure_ascii=False)
    (folder / PARAMETERS_FILE).write_text(text + "\n", encoding="utf-8")
