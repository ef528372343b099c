import gzip
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few labelled pairs and paragraphs in every part."""
    folder = tmp_path_factory.mktemp("data")
    pairs: list[dict[str, Any]] = []
    for n in range(120):
        evidence = f"The old bridge number {n} was opened in {1800 + n}. Cats sleep all day."
        pairs.append({"evidence": evidence, "claim": f"Bridge number {n} was opened in {1800 + n}.",
                      "label": "supported", "source": "fever"})  # fmt: skip
        pairs.append({"evidence": evidence, "claim": f"Bridge number {n} was opened in {1801 + n}.",
                      "label": ("contradicted", "not_supported")[n % 2], "source": "fm2"})  # fmt: skip
    paragraphs = []
    for n in range(60):
        text = (
            f"The red tower of Ulm{n} was opened in {1700 + n} by Helene Roth. It is {200 + n} metres high. In "
            f"{1800 + n}, after a storm, Otto Hall repaired the tower for the town."
        )
        asked = [
            (f"When was the red tower of Ulm{n} opened?", str(1700 + n)),
            (f"Who opened the tower of Ulm{n}?", "Helene Roth"),
            (f"How many metres is the tower of Ulm{n} high?", str(200 + n)),
            ("Who repaired the tower?", "Otto Hall"),
        ]
        paragraphs.append({"title": f"Article {n}", "paragraph": 0, "context": text, "questions": [
            {"id": str(k), "question": q, "answer": a, "answer_start": text.index(a)} for k, (q, a) in enumerate(asked)
        ]})  # fmt: skip
    for name, rows in (("verify_train/pairs.jsonl.gz", pairs), ("squad_train/paragraphs.jsonl.gz", paragraphs)):
        path = folder / name
        path.parent.mkdir()
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    return folder
