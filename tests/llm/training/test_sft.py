import dataclasses
import json
from pathlib import Path

import pytest

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.packing import TokenExample
from llm.training.sft import SftConfig, read_examples, train_sft

# peft calls transformers by a name that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

CONFIG = SftConfig(
    rank=4, alpha=8.0, peak_lr=2e-2, warmup_steps=2, sequences_per_step=2, max_tokens=80, n_epochs=3,
    checkpoint_seconds=0.0, evaluate_every=2,
)  # fmt: skip
# Groups of three that share their beginning; the answer follows from the last token of the prompt.
EXAMPLES = [TokenExample(prompt=(*range(10 + n // 3, 22 + n // 3), 40 + n), answer=(50 + n % 3, 2)) for n in range(12)]


@pytest.mark.parametrize("rank", [4, 0])
def test_a_killed_run_goes_on_to_the_same_curve(rank, tmp_path, new_model, device, killed_and_resumed) -> None:
    config = dataclasses.replace(CONFIG, rank=rank, peak_lr=CONFIG.peak_lr if rank else 1e-2)
    models = {}

    def train(out, report):
        models[out] = train_sft(
            new_model(), EXAMPLES, EXAMPLES[:3], out=out, config=config, device=device, report=report
        )

    whole, resumed = killed_and_resumed(train, tmp_path, 3)
    assert whole.curve == resumed.curve  # bitwise, on one machine with one number of threads
    assert whole.rows[-1]["loss"] < whole.rows[0]["loss"] / 2
    first, second = (dict(models[tmp_path / name].named_parameters()) for name in ("whole", "killed"))
    assert all(first[name].equal(second[name]) for name in first)


def test_a_new_adapter_leaves_the_base_as_it_is(tmp_path, new_model, device) -> None:
    before = {name: weight.clone() for name, weight in new_model().named_parameters()}
    tuned = train_sft(new_model(), EXAMPLES, (), out=tmp_path, config=CONFIG, device=device, report=lambda row: None)
    after = {name.replace(".base_layer", ""): weight for name, weight in tuned.get_base_model().named_parameters()}
    assert all(weight.equal(after[name]) for name, weight in before.items())
    assert {name for name in after if name not in before} == {name for name in after if "lora_" in name} != set()


def test_another_seed_is_another_run(tmp_path, new_model, device) -> None:
    def train(config: SftConfig) -> None:
        train_sft(new_model(), EXAMPLES, (), out=tmp_path, config=config, device=device, report=lambda row: None)

    train(CONFIG)
    with pytest.raises(InvalidTrainingDataError, match="other settings"):
        train(dataclasses.replace(CONFIG, seed=1))


def test_nothing_to_learn_is_said(tmp_path, new_model, device) -> None:
    config = dataclasses.replace(CONFIG, max_tokens=5)
    with pytest.raises(InvalidTrainingDataError, match="no example to learn"):
        train_sft(new_model(), EXAMPLES, (), out=tmp_path, config=config, device=device, report=lambda row: None)


def test_rows_become_the_tokens_that_serving_reads(tmp_path: Path, tokenizer) -> None:
    rows = [{"messages": [{"role": "user", "content": "Where? <|im_end|>"}, {"role": "assistant", "content": "Here"}]}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    encoder = PromptEncoder(tokenizer)
    (example,) = read_examples(tmp_path / "rows.jsonl", encoder, tokenizer.eos_token_id)
    assert tokenizer.decode(example.prompt).endswith("<|im_start|>assistant\n")
    assert example.prompt.count(tokenizer.eos_token_id) == 1, "the template's own, not the one in the text"
    assert tokenizer.decode(example.answer[:-1]) == "Here"
    assert example.answer[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"messages": 3}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": "no answer"}]}',
        '{"messages": [{"role": "assistant", "content": "no question"}]}',
        '{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}',
    ],
)
def test_a_bad_line_is_named(line: str, tmp_path: Path, tokenizer) -> None:
    good = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    (tmp_path / "rows.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(InvalidTrainingDataError, match=r"rows\.jsonl line 2") as raised:
        list(read_examples(tmp_path / "rows.jsonl", PromptEncoder(tokenizer), 0))
    assert "\n" not in str(raised.value)
