"""From a file to a parsed document: find out what it is, judge it, load it, hold the loader to its contract.

Runs in the parser's cage (`ingest.sandbox`); calling it in the service's own process is for tests alone.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from ingest import detect
from ingest.archive import check_archive
from ingest.detect import detect_media_type
from ingest.limits import MIB, Limits
from ingest.postconditions import finish
from rag.errors import CiteboundError, DocumentError
from rag.types import ParsedDocument

__all__ = ["detect_media_type", "load"]

# Media type → module of `ingest.loaders` and of `load_…` in it, and the format's name for people.
_LOADERS = {
    detect.PDF: ("pdf", "PDF"),
    detect.DOCX: ("docx", "DOCX"),
    detect.PPTX: ("pptx", "PPTX"),
    detect.XLSX: ("xlsx", "XLSX"),
    detect.EPUB: ("epub", "EPUB"),
    detect.HTML: ("html", "HTML"),
    detect.MARKDOWN: ("markdown", "Markdown"),
    detect.CSV: ("csv", "CSV"),
    detect.PLAIN: ("plain", "text"),
}
_ARCHIVES = frozenset((detect.DOCX, detect.PPTX, detect.XLSX, detect.EPUB))


def load(path: Path, *, name: str, media_type: str | None, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse one file of any supported format.

    Args:
        path: the file.
        name: the name it was uploaded under.
        media_type: what the uploader says it is; the content decides.
        password: for encrypted files.
        limits: what it may cost.

    Raises:
        DocumentError: the file cannot become passages; `code` says why, the message what to do.
        MemoryError: the process may have no more memory.
    """
    n_bytes = path.stat().st_size
    if n_bytes > limits.max_file_bytes:
        allowed = limits.max_file_bytes / MIB
        raise DocumentError(
            "too_large", f"The file has {n_bytes / MIB:.1f} MiB and {allowed:g} MiB are allowed; split it."
        )
    kind = detect_media_type(path, name, media_type)
    if kind in _ARCHIVES:
        check_archive(path, limits)
    module, format_name = _LOADERS[kind]
    try:
        parsed = _loader(module)(path, name=name, password=password, limits=limits)
    except (CiteboundError, MemoryError):
        raise
    except Exception as error:
        # Parsers raise anything at all over damaged files; what it was goes to the log as the cause.
        raise DocumentError(
            "corrupt", f"The file could not be read as {format_name}; open it elsewhere and save it again."
        ) from error
    return finish(parsed, limits)


def _loader(module: str) -> Callable[..., ParsedDocument]:
    """The loader of one format, imported when it is needed: the service's own process never loads a parser."""
    loader: Callable[..., ParsedDocument] = getattr(
        importlib.import_module(f"ingest.loaders.{module}"), f"load_{module}"
    )
    return loader
