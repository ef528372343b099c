"""The cache folder of models: its layout, its manifests, its locks, and the check of what is installed.

In the folder lie `NAME/` (safetensors, configuration, tokenizer and a manifest with the SHA-256 of each file),
`NAME.gguf` where the model came as GGUF, `.staging/` and `.locks/`. What is not finished is only ever in `.staging/`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
from filelock import FileLock

from llm.catalogue import ModelKind, PinnedModel
from llm.errors import ModelNotFoundError
from llm.files import check_sha256, publish, safe_target, sha256_of
from llm.gguf import CONVERTER_VERSION

MANIFEST = "citebound-model.json"
Source = Literal["pypi", "hub", "folder"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an installed model is and which bytes it has."""

    name: str
    kind: ModelKind
    sha256: str  # of the pinned file: the GGUF, or the (first) safetensors file
    source: Source
    revision: str | None  # commit of the hub
    converter_version: int | None  # None where nothing was converted
    files: Mapping[str, str]  # path → SHA-256


class ModelCache:
    """Where installed models lie; the only code that knows the layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, name: str) -> str:
        """One folder name a model name: `org/name@revision` → `org--name@revision`.

        Raises:
            ModelNotFoundError: no model can have that name.
        """
        key = name.replace("/", "--")
        if not key or key.startswith(".") or not all(c.isalnum() or c in "-_.@+" for c in key):
            raise ModelNotFoundError(f"{name!r} is not a model name; use letters, digits, and - _ . @ /")
        return key

    def key_of_gguf(self, gguf: Path) -> str:
        """The key of a GGUF file of the user's: its name and the start of its SHA-256."""
        stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in gguf.stem).lstrip(".")
        return self.key(f"{stem}-{sha256_of(gguf)[:12]}")

    def model_folder(self, key: str) -> Path:
        """The published folder."""
        return self.folder / key

    def gguf(self, key: str) -> Path:
        """The GGUF file a model was converted from."""
        return self.folder / f"{key}.gguf"

    def staging(self, key: str) -> Path:
        """The folder for what is not finished; only for holders of the lock."""
        folder = self.folder / ".staging" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Exclusive among all processes, one lock a model; the system frees it when its process dies."""
        locks = self.folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{key}.lock"):
            yield

    def manifest(self, key: str) -> Manifest | None:
        """The manifest of an installed model, None where there is none."""
        return _read_manifest(self.model_folder(key))

    def installed(self, key: str, pinned: PinnedModel | None) -> Manifest | None:
        """The manifest after every file's SHA-256 was checked; None where nothing is installed that fits the pin.

        Raises:
            ModelIntegrityError: a file was changed since it was published; it is removed.
        """
        manifest = self.manifest(key)
        if manifest is None or manifest.converter_version not in (None, CONVERTER_VERSION):
            return None
        if pinned is not None and manifest.sha256 != pinned.sha256:
            return None
        if pinned is not None and pinned.packing != "gguf" and manifest.files != pinned.model_files:
            return None
        folder = self.model_folder(key)
        paths = {safe_target(folder, name): expected for name, expected in manifest.files.items()}
        if not all(path.is_file() for path in paths):
            return None
        for path, expected in paths.items():
            check_sha256(path, expected)
        return manifest

    def install(self, ready: Path, manifest: Manifest, key: str) -> None:
        """Publish the finished folder `ready` with its manifest."""
        (ready / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
        publish(ready, self.model_folder(key), aside=self.folder / ".staging")
        _log.info("model_installed", model=manifest.name, source=manifest.source)

    def manifests(self) -> Mapping[str, Manifest]:
        """Every installed model by key; hashes are not checked here."""
        found: dict[str, Manifest] = {}
        for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
            manifest = _read_manifest(path.parent)
            if manifest is not None:
                found[path.parent.name] = manifest
        return found


def model_kind(folder: Path) -> ModelKind:
    """What a model folder is for, by its configuration alone.

    Raises:
        ModelNotFoundError: there is no readable config.json.
    """
    try:
        config: Mapping[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotFoundError(f"{folder} has no readable config.json; get the model again") from error
    if (folder / "modules.json").is_file():
        return "embedder"
    classes = " ".join(config.get("architectures") or ())
    if config.get("is_encoder_decoder"):
        return "encoder_decoder"
    if "CausalLM" in classes or "LMHead" in classes:
        return "decoder"
    if "Classification" in classes:
        return "classifier"
    return "encoder"


def hashes_of(folder: Path) -> dict[str, str]:
    """Relative path → SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _read_manifest(folder: Path) -> Manifest | None:
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        _log.warning("model_manifest_unreadable", folder=folder.name)
        return None
