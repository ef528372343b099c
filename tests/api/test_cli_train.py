"""`citebound train …` from documents to a tuned model that the service's own loader reads."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli.main import cli
from llm.adapters import read_adapter
from llm.engines.torch import load_decoder
from llm.errors import InvalidTrainingDataError
from llm.types import Device, Message, Request, SamplingParams

# peft calls transformers by a name that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

CITIES = ("Lindenhof", "Marwick", "Osterby", "Tallin", "Varnholm", "Weskott")
SHAPE = {"hidden-size": 32, "n-layers": 2, "n-heads": 4, "n-kv-heads": 2, "sequence-tokens": 32}
TUNING = {"rank": 2, "alpha": 4, "groups": 4, "held-out-groups": 2, "max-tokens": 2000, "warmup-steps": 1}


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATA_DIR": "data", "MODEL_CACHE": "models", "OFFLINE": "true", "THREADS": "1"}.items():
        monkeypatch.setenv(f"CITEBOUND_{name}", value)
    monkeypatch.setenv("CITEBOUND_DTYPE", "fp32")
    monkeypatch.setenv("CITEBOUND_DEVICE", "cpu")

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["train", *arguments], catch_exceptions=False)

    return command


def flags(values: dict[str, int]) -> list[str]:
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def paragraphs(title: str) -> list[dict[str, object]]:
    return [
        {
            "title": title,
            "context": f"The first mill of {city} was founded in {1500 + 20 * n}. It burned down before the war.",
            "questions": [{"question": f"When was the first mill of {city} founded?", "answer": str(1500 + 20 * n)}],
        }
        for n, city in enumerate(CITIES)
    ]


def test_from_documents_to_an_aligned_model(train, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Mills\n\n" + "The river drives the mill of the old town.\n" * 60)
    (tmp_path / "faq.jsonl").write_text('{"question": "Where?", "answer": "By the river."}\n' * 3)
    rows = [*paragraphs("Mills 1"), *paragraphs("Mills 2")]  # the first is held out by its name
    (tmp_path / "squad.jsonl").write_text("\n".join(map(json.dumps, rows)))

    fields = ["--field", "question", "--field", "answer"]
    made = json.loads(train("corpus", "notes.md", "faq.jsonl", *fields, "--out", "corpus.jsonl").stdout)
    assert made["documents"] == 4
    assert json.loads((tmp_path / "corpus.jsonl").read_text().splitlines()[1])["text"] == "Where?\nBy the river."

    made = json.loads(train("tokenizer", "corpus.jsonl", "--vocabulary", "280", "--out", "words").stdout)
    assert made["vocabulary"] == 280
    assert made["bytes_per_token"] > 1
    rows = [json.loads(line) for line in (tmp_path / "words/compression.jsonl").read_text().splitlines()]
    assert [row["vocabulary"] for row in rows] == [259, 280]
    assert (tmp_path / "words/compression.svg").read_text().startswith("<svg")
    again = json.loads(train("tokenizer", "corpus.jsonl", "--vocabulary", "280", "--out", "words").stdout)
    assert again == made

    begun = [
        "pretrain",
        "corpus.jsonl",
        "--tokenizer",
        "words",
        "--out",
        "base",
        *flags(SHAPE),
        "--sequences-per-step",
        "4",
    ]
    trained = train(*begun)
    assert "too few documents to keep any for held_out_loss" in trained.stderr
    made = json.loads(trained.stdout)
    assert made["last_loss"] < made["first_loss"]
    assert made["tokens_per_second"] > 0
    assert made["matrix_share"] > 0
    lines = (tmp_path / "base/metrics.jsonl").read_text().splitlines()
    assert len(lines) == made["steps"]
    assert (tmp_path / "base/loss.svg").read_text().startswith("<svg")
    again = json.loads(train(*begun).stdout)
    assert again["steps"] == made["steps"], "a finished run is not begun again"
    assert (tmp_path / "base/metrics.jsonl").read_text().splitlines() == lines
    with pytest.raises(InvalidTrainingDataError, match=r"another run \(.* was .*, not .*\)"):
        train(*begun, "--seed", "1")

    data = ["--squad", "squad.jsonl", "--base", "base/model"]
    made = json.loads(train("sft", *data, "--out", "tuned", "--name", "mills-1", *flags(TUNING)).stdout)
    assert read_adapter(tmp_path / "tuned/adapter").name == "mills-1"
    assert json.loads((tmp_path / "tuned/run.json").read_text())["result"] == made

    own = {"messages": [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Good day."}]}
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n")
    going_on = ["--adapter", "tuned/adapter", "--also", "own.jsonl", "--out", "longer"]
    refused = train("sft", "--data", "own.jsonl", "--base", "base/model", "--tempting", "--out", "refused")
    assert "--tempting goes with --squad" in refused.stderr
    longer = train("sft", *data, *going_on, *flags({**TUNING, "decay-steps": 1}))
    assert json.loads((tmp_path / "longer/train.jsonl").read_text().splitlines()[-1]) == own
    assert json.loads(longer.stdout)["first_loss"] != made["first_loss"], "it goes on where the other stopped"

    aligned = train("dpo", *data, "--adapter", "tuned/adapter", "--out", "aligned", *flags(TUNING))
    assert json.loads(aligned.stdout)["first_loss"] == pytest.approx(0.69315, abs=1e-4)
    decoder = load_decoder(
        tmp_path / "base/model",
        name="tiny",
        device=Device(kind="cpu", name="test", dtype="fp32", n_threads=1),
        adapter=read_adapter(tmp_path / "aligned/adapter"),
    )
    asked = Request(messages=(Message(role="user", content="When?"),), sampling=SamplingParams(max_new_tokens=3))
    assert decoder.generate([asked])[0].n_new_tokens > 0


def test_a_configuration_file_gives_what_no_flag_gives(train, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("The river drives the mill of the old town.\n" * 20)
    (tmp_path / "words.toml").write_text('vocabulary = 270\nmin-frequency = 3\nout = "made"\n')
    assert train("tokenizer", "text.txt", "--config", "words.toml", "--min-frequency", "4").exit_code == 0
    config = json.loads((tmp_path / "made/run.json").read_text())["config"]
    assert (config["vocabulary"], config["min_frequency"]) == (270, 4)
    (tmp_path / "words.toml").write_text("vocabluary = 270\n")
    refused = train("tokenizer", "text.txt", "--config", "words.toml", "--out", "other")
    assert refused.exit_code == 2
    assert "vocabluary, which is no flag" in refused.stderr


@pytest.mark.parametrize("command", ["pretrain", "sft", "dpo", "verifier", "reranker"])
def test_every_training_takes_a_configuration_file(train, tmp_path: Path, command: str) -> None:
    (tmp_path / "run.toml").write_text('out = "made"\nseeed = 2\n')
    refused = train(command, "--config", "run.toml")
    assert refused.exit_code == 2
    assert "seeed, which is no flag" in refused.stderr


@pytest.mark.parametrize("command", ["corpus", "tokenizer", "pretrain", "sft", "dpo", "verifier", "reranker"])
def test_every_step_explains_itself_with_an_example(train, command: str) -> None:
    shown = train(command, "--help")
    assert shown.exit_code == 0
    assert f"citebound train {command}" in shown.stdout


@pytest.mark.parametrize(
    ("command", "flag", "value", "said"),
    [
        ("pretrain", "--n-heads", "0", "not in the range"),
        ("pretrain", "--n-layers", "0", "not in the range"),
        ("pretrain", "--hidden-size", "-64", "not in the range"),
        ("pretrain", "--sequences-per-pass", "0", "not in the range"),
        ("pretrain", "--max-steps", "0", "not in the range"),
        ("pretrain", "--warmup-steps", "-3", "not in the range"),
        ("pretrain", "--peak-lr", "-1", "not in the range"),
        ("pretrain", "--peak-lr", "nan", "finite"),
        ("sft", "--sequences-per-step", "0", "not in the range"),
        ("sft", "--seed", "-5", "not in the range"),
        ("dpo", "--evaluate-every", "0", "not in the range"),
        ("dpo", "--final-lr-share", "1.5", "not in the range"),
        ("dpo", "--max-grad-norm", "inf", "finite"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_loaded(
    train, command: str, flag: str, value: str, said: str
) -> None:
    result = train(command, flag, value, "--out", "run")
    assert result.exit_code == 2
    assert said in result.stderr
    assert flag in result.stderr


def test_more_positions_than_the_model_has_are_refused(train, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("The river drives the mill of the old town.\n" * 60)
    train("corpus", "notes.md", "--out", "corpus.jsonl")
    train("tokenizer", "corpus.jsonl", "--vocabulary", "280", "--out", "words")
    with pytest.raises(InvalidTrainingDataError, match="raise max_positions"):
        train("pretrain", "corpus.jsonl", "--tokenizer", "words", "--out", "a", *flags(SHAPE), "--max-positions", "16")


def test_tuning_needs_one_source_of_rows(train, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "base/model.safetensors").write_bytes(b"")
    refused = train("sft", "--base", "./base", "--out", "tuned")
    assert refused.exit_code == 2
    assert "--data or --squad" in refused.stderr
