import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import MalformedError, MediaTypeError, TooLargeError
from api.multipart import read_parts

EDGE = "b0undary"
KIND = f"multipart/form-data; boundary={EDGE}"


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    body = b""
    for name, file_name, content in parts:
        disposition = f'form-data; name="{name}"' + ("" if file_name is None else f'; filename="{file_name}"')
        body += f"--{EDGE}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{EDGE}--\r\n".encode()


def sliced(body: bytes, n: int) -> list[bytes]:
    return [body[i : i + n] for i in range(0, len(body), n)]


def read(body: bytes, n: int = 7, max_files: int = 10) -> list[tuple[str, str | None, bytes]]:
    parts = read_parts(sliced(body, n), KIND, max_files=max_files)
    return [(part.name, part.file_name, b"".join(part.chunks)) for part in parts]


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.binary(max_size=80), min_size=1, max_size=4),
    n=st.integers(min_value=1, max_value=200),
)
def test_every_byte_arrives_however_the_body_is_cut(contents: list[bytes], n: int) -> None:
    parts = [("file", f"{i}.bin", content) for i, content in enumerate(contents)]
    if any(EDGE.encode() in content for content in contents):
        return
    assert read(form(*parts), n) == parts


def test_what_is_left_of_a_part_is_skipped() -> None:
    body = form(("file", "a", b"x" * 500), ("file", "b", b"second"))
    parts = read_parts(sliced(body, 50), KIND, max_files=10)
    first = next(parts)
    assert next(first.chunks)
    assert b"".join(next(parts).chunks) == b"second"


def test_fields_and_files_are_told_apart() -> None:
    rows = read(form(("collection", None, "Löwe".encode()), ("file", "", b"")))
    assert rows == [("collection", None, "Löwe".encode()), ("file", "", b"")]


def test_names_are_utf_8() -> None:
    assert read(form(("file", "Übersicht – 2026.pdf", b"x")))[0][1] == "Übersicht – 2026.pdf"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", ""])
def test_another_media_type_is_refused(kind: str) -> None:
    with pytest.raises(MediaTypeError):
        list(read_parts([form(("file", "a", b"x"))], kind, max_files=1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        form(("file", "a", b"x"))[:-10],
        f'--{EDGE}\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n--{EDGE}--\r\n'.encode(),
        f"--{EDGE}\r\n\r\nx\r\n--{EDGE}--\r\n".encode(),
    ],
)
def test_a_broken_body_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read(body)


def test_too_many_files_and_too_long_a_field_are_refused() -> None:
    with pytest.raises(TooLargeError):
        read(form(*[("file", "a", b"x")] * 3), max_files=2)
    part = next(read_parts([form(("metadata", None, b"x" * 70_000))], KIND, max_files=1))
    with pytest.raises(TooLargeError):
        part.text()
    part = next(read_parts([form(("metadata", None, b"\xff"))], KIND, max_files=1))
    with pytest.raises(MalformedError):
        part.text()
