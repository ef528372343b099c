"""How much one file may cost. Everything that reads a file takes these and raises `DocumentError` beyond them."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one parse; the defaults let a 2,000-page book and a 100 MiB workbook through."""

    max_file_bytes: int = 200 * MIB
    max_pages: int = 5_000
    max_chars: int = 20_000_000  # code points of the normalized text
    cpu_seconds: float = 300.0  # of one parse
    wall_seconds: float = 600.0  # of one parse, waiting for a free slot not included
    memory_bytes: int = 1_536 * MIB  # address space of the child
    max_reply_bytes: int = 512 * MIB  # what a child may send back
    max_archive_entries: int = 10_000
    max_archive_ratio: float = 200.0  # unpacked ÷ packed, of each entry above 1 MiB and of the whole
    max_archive_bytes: int = 1_024 * MIB  # unpacked, all entries together
    max_archive_nesting: int = 1  # archives inside the archive (an embedded workbook) are counted, never opened
    max_pixels: int = 16_000_000  # of one rendered page
    render_seconds: float = 30.0  # wall clock and CPU of one rendered page
    max_parallel: int = 4  # children at work at once

    def __post_init__(self) -> None:
        """Refuse a bound that would refuse everything."""
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"limit {name} must be positive, got {getattr(self, name)}")
