"""Rendered reports of comparisons, kept until something they stand on changes."""

from pathlib import Path

from rag.catalog.faults import file_faults
from rag.catalog.files import publish_path


class ReportCache:
    """Texts by name in one folder; they may repeat documents, so that a deletion empties it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str | None:
        """A text that was kept."""
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def keep(self, name: str, text: str) -> None:
        """Keep a text.

        Raises:
            StorageError: the disk is full or failing.
        """
        with file_faults():
            self._folder.mkdir(mode=0o700, exist_ok=True)
        with publish_path(self._folder / name) as temporary, file_faults():
            temporary.write_text(text, encoding="utf-8")

    def forget(self, prefix: str = "") -> None:
        """Remove every text whose name begins with `prefix`."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.startswith((prefix, f".{prefix}")):
                    path.unlink(missing_ok=True)
