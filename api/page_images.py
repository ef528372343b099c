"""Page images, rendered in the sandbox and kept on disk until their document is deleted."""

import shutil
from collections.abc import Callable
from pathlib import Path

from ingest.sandbox import Sandbox
from rag.catalog.catalog import Catalog
from rag.catalog.faults import file_faults
from rag.errors import NoPagesError, NotFoundError

PDF = "application/pdf"


class PageImages:
    """PNG files in `folder/DOCUMENT_ID/VERSION-PAGE.png`; all of it can be deleted at any time."""

    def __init__(self, folder: Path, catalog: Catalog, sandbox: Sandbox, max_pixels: int) -> None:
        self._folder = folder
        self._catalog = catalog
        self._sandbox = sandbox
        self._max_pixels = max_pixels

    def png(self, document_id: str, page_number: int, version: int | None = None) -> bytes:
        """The image of one page (1-based) of a PDF.

        Raises:
            NotFoundError: no such document, version or page.
            NoPagesError: the format has no page images.
            DocumentError: the page cannot be rendered.
        """
        document = self._catalog.documents.get(document_id)
        number = document.version if version is None else version
        self._catalog.documents.page(document_id, page_number, number)  # that there is such a page
        source = self._catalog.files.path(document_id, number)
        if not _is_pdf(source):
            raise NoPagesError("only PDF pages have images; the text of this page is at the address without .png")
        path = self._folder / document_id / f"{number}-{page_number}.png"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            pass
        password = self._catalog.files.password(document_id, number)
        image = self._sandbox.render_page(source, page_number, password, self._max_pixels)
        self._keep(path, image)
        try:
            self._catalog.documents.get(document_id)
        except NotFoundError:
            self.remove(document_id)  # deleted while it was rendered: its own removal may have come first
            raise
        return image

    def remove(self, document_id: str) -> None:
        """Forget every image of a document."""
        folder = self._folder / document_id
        if folder.is_dir():
            shutil.rmtree(folder)

    def count(self, document_id: str) -> int:
        """How many images of a document are kept."""
        folder = self._folder / document_id
        return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0

    def sweep(self, is_known: Callable[[str], bool]) -> None:
        """Remove the images of documents that are gone."""
        if self._folder.is_dir():
            for folder in tuple(self._folder.iterdir()):
                if not is_known(folder.name):
                    shutil.rmtree(folder)

    def _keep(self, path: Path, image: bytes) -> None:
        with file_faults():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._catalog.files.publish_bytes(path, image)


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)
