"""Opening a PDF: passwords, damage, and what damage can be mended. Used to read and to draw, so that both agree."""

import io
from dataclasses import dataclass
from pathlib import Path

import pypdf
import pypdfium2
import pypdfium2.raw as pdfium

from rag.errors import DocumentError

_TAIL_BYTES = 2048  # where readers look for the end of a file


@dataclass(frozen=True, slots=True)
class OpenedPdf:
    """A PDF that PDFium reads."""

    document: pypdfium2.PdfDocument
    damaged: bool  # the end of the file is missing, or it had to be written anew to be read
    encrypted: bool


def open_pdf(path: Path, password: str | None) -> OpenedPdf:
    """Open a PDF with its password, if it has one; a damaged one is written anew from the objects that are left.

    Raises:
        DocumentError: `encrypted` (no password given, or an encryption nobody knows), `wrong_password`, `corrupt`.
    """
    try:
        document = pypdfium2.PdfDocument(path, password=password)
        if len(document) == 0:
            raise pypdfium2.PdfiumError("no pages", err_code=pdfium.FPDF_ERR_FORMAT)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise _password_error(password) from error
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            message = "The PDF is encrypted in a way that cannot be read; save it without encryption."
            raise DocumentError("encrypted", message) from error
        return _mended(path, password)
    encrypted = pdfium.FPDF_GetSecurityHandlerRevision(document) >= 0
    return OpenedPdf(document, damaged=not _has_end(path), encrypted=encrypted)


def _mended(path: Path, password: str | None) -> OpenedPdf:
    """Read the file leniently with pypdf, write it to memory, and open that."""
    mended = io.BytesIO()
    try:
        reader = pypdf.PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(password or ""):
            raise _password_error(password)
        writer = pypdf.PdfWriter()
        for page in reader.pages:
            writer.add_page(page)
        if not writer.pages:
            raise pypdf.errors.PdfReadError("no pages")
        writer.write(mended)
        document = pypdfium2.PdfDocument(mended.getvalue())
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # pypdf raises anything at all over damaged files
        message = "The PDF is damaged beyond repair; open it elsewhere and save it again."
        raise DocumentError("corrupt", message) from error
    return OpenedPdf(document, damaged=True, encrypted=reader.is_encrypted)


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    return b"%%EOF" in tail and b"startxref" in tail


def _password_error(password: str | None) -> DocumentError:
    if password:
        return DocumentError("wrong_password", "The password does not open the PDF; give the right one.")
    return DocumentError("encrypted", "The PDF is encrypted; give its password.")
