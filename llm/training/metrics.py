"""The figures of a run as JSON lines, one a step; a resumed run writes on where it stood."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsLog:
    """One file. Steps that were taken again after a kill stand in it once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = read_metrics(path)
        self._first = True

    def write(self, row: Mapping[str, Any]) -> None:
        """Add the row of one step; `step` is among its figures."""
        if self._first:
            self._first = False
            self.rows = [known for known in self.rows if known["step"] < row["step"]]
            fresh = self._path.with_name(f"{self._path.name}.new")
            fresh.write_text("".join(json.dumps(known) + "\n" for known in self.rows), encoding="utf-8")
            fresh.replace(self._path)
        self.rows.append(dict(row))
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(dict(row)) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; none without a file. A last line that a kill cut off is left out."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
