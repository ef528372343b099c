"""Several processes on one run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import atexit, json, os, pathlib, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from llm.training.packing import TokenExample
from llm.training.sft import SftConfig, train_sft
from llm.training.workers import join_workers
from llm.types import Device

@atexit.register  # the first to be registered is the last to be called
def end():
    if torch.distributed.is_initialized():
        os._exit(7)  # what is raised here would not be seen

device = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)
torch.set_num_threads(1)
torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2,
))
examples = [TokenExample(prompt=tuple(range(n, n + 9)), answer=(50 + n % 3,) * (1 + n % 2) + (2,)) for n in range(9)]
config = SftConfig(rank=0, peak_lr=1e-2, warmup_steps=2, sequences_per_step=3, max_tokens=40, n_epochs=2)
rows = []
workers = join_workers(device)
train_sft(model, examples, examples[:2], out=pathlib.Path(sys.argv[1]), config=config, device=device,
          report=rows.append, workers=workers)
if workers.is_main:
    print(json.dumps([workers.n, rows]))
else:
    assert not rows
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for number, arguments in enumerate(([], launcher)):
        command = [sys.executable, *arguments, str(tmp_path / "run.py"), str(tmp_path / f"out{number}")]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    (one, alone), (two, together) = found
    assert (one, two) == (1, 2)
    assert [row["tokens"] for row in together] == [row["tokens"] for row in alone]
    for name in ("loss", "grad_norm"):  # equal but for the order of sums
        assert [row[name] for row in together] == pytest.approx([row[name] for row in alone], abs=2e-4)
    assert together[-1]["held_out_loss"] == pytest.approx(alone[-1]["held_out_loss"], abs=2e-4)


def test_the_commands_load_torch_only_when_they_train() -> None:
    code = (
        "import sys, api.cli.train; print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
