"""What must start without torch does so."""

import subprocess
import sys
from pathlib import Path

import pytest

import llm

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "sentence_transformers")


@pytest.mark.parametrize("module", ["llm.types", "llm.errors", "llm.sources", "llm.gguf", "llm.scripted", "llm.device"])
def test_no_torch(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_is_this_projects_own() -> None:
    assert Path(llm.__file__).parent == ROOT / "llm"
