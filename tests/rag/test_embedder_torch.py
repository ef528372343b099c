"""The torch embedder against sentence-transformers over the same weights, tiny ones and the default ones."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from platformdirs import user_cache_path
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from llm.errors import ModelNotFoundError, UnsafeModelError, UnsupportedError
from llm.sources import ModelStore
from llm.types import Device, DType
from rag.embed import Embedder
from rag.errors import NotReadyError
from rag.torch_embedder import TorchEmbedder, load_embedder
from rag.types import FloatArray

MAX_TOKENS = 24
TEXTS = [
    "short",
    "a somewhat longer text, with a comma",
    "Größe and naïve words. " * 3,
    "one text that is longer than what the model reads: " + "words and words " * 20,
    "x",
    "",
    "short",
]


def cpu(dtype: DType) -> Device:
    return Device(kind="cpu", name="test", dtype=dtype, n_threads=2)


def make_tokenizer() -> Tokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz.,:"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), "words", "text"]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def make_model(folder: Path, *, pooling: str = "mean_tokens") -> Path:
    """A BERT of two layers with random weights, laid out as sentence-transformers writes one."""
    tokenizer = make_tokenizer()
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    model = BertModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # enough for texts to differ
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    kinds = ("Transformer", "Pooling", "Normalize")
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "BertTokenizer",
            "model_max_length": 64,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
        },
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "modules.json": [
            {
                "idx": n,
                "name": str(n),
                "path": f"{n}_{kind}" if n else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for n, kind in enumerate(kinds)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": 32,
            **{f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")},
        },
    }
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("mean"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Iterator[TorchEmbedder]:
    embedder = load_embedder(folder, name="tiny", device=cpu("fp32"), batch_tokens=60)
    yield embedder
    embedder.close()


def reference(folder: Path, texts: list[str]) -> FloatArray:
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors: FloatArray = model.encode(texts, show_progress_bar=False)
    return vectors


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
@pytest.mark.parametrize(("dtype", "least"), [("fp32", 0.99999), ("bf16", 0.999)])
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, pooling: str, dtype: DType, least: float) -> None:
    folder = make_model(tmp_path, pooling=pooling)
    embedder = load_embedder(folder, name="tiny", device=cpu(dtype), batch_tokens=40)
    vectors = embedder.embed_passages(TEXTS)
    embedder.close()
    expected = reference(folder, TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (vectors * expected).sum(axis=1).min() >= least
    # The weights tell texts apart, or agreement would mean nothing.
    assert (expected[0] @ expected[2]) < 0.99


def test_the_order_of_texts_is_kept_and_progress_is_told(embedder: TorchEmbedder) -> None:
    heard: list[int] = []
    vectors = embedder.embed_passages(TEXTS, on_progress=heard.append)
    assert isinstance(embedder, Embedder)
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (len(TEXTS), 32)
    assert vectors[0].tolist() == pytest.approx(vectors[6].tolist(), abs=1e-5)
    assert heard[-1] == len(TEXTS)
    assert heard == sorted(set(heard))
    assert embedder.embed_passages([]).shape == (0, 32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert embedder.embed_query(text) @ vector > 0.9999


def test_a_question_is_remembered_and_cannot_be_changed(embedder: TorchEmbedder) -> None:
    vector = embedder.embed_query("where")
    assert embedder.embed_query("where") is vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 2.0
    for n in range(300):
        embedder.embed_query(f"question {n}")
    again = embedder.embed_query("where")
    assert again is not vector
    assert again.tolist() == vector.tolist()


def test_many_threads_get_their_own_vectors(embedder: TorchEmbedder) -> None:
    texts = [[f"{'text ' * (n + 1)}{letter}" for letter in "abcdefgh"] for n in range(6)]
    expected = [embedder.embed_passages(some) for some in texts]
    found: dict[int, FloatArray] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: embedder.embed_passages(texts[n])})) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(6):
        assert np.allclose(found[n], expected[n], atol=1e-5)


def test_loading_leaves_torch_its_threads(folder: Path) -> None:
    before = torch.get_num_threads()
    load_embedder(folder, name="tiny", device=cpu("fp32")).close()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), seen) == (before, [before])


def test_a_query_prompt_of_the_model_is_put_before_questions(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "text words: "}}')
    embedder = load_embedder(folder, name="tiny", device=cpu("fp32"))
    assert embedder.embed_query("abc") @ embedder.embed_passages(["text words: abc"])[0] > 0.9999
    embedder.close()


def test_special_token_strings_in_a_text_are_plain_text(embedder: TorchEmbedder) -> None:
    forged, plain = embedder.embed_passages(["a [SEP] b", "a b"])
    spelled = embedder.embed_passages(["a [ SEP ] b"])[0]
    assert forged @ spelled > 0.9999
    assert forged @ plain < 0.9999


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    model = BertModel.from_pretrained(folder)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.bias.fill_(float("nan"))
    model.save_pretrained(folder)
    embedder = load_embedder(folder, name="tiny", device=cpu("fp32"))
    with pytest.raises(UnsupportedError, match="finite"):
        embedder.embed_passages(["text"])
    embedder.close()


def test_folders_that_cannot_be_trusted_or_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no model"):
        load_embedder(tmp_path, name="tiny", device=cpu("fp32"))
    folder = make_model(tmp_path)
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(UnsafeModelError, match=r"pytorch_model\.bin"):
        load_embedder(folder, name="tiny", device=cpu("fp32"))
    (folder / "pytorch_model.bin").unlink()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(UnsupportedError, match="pools"):
        load_embedder(folder, name="tiny", device=cpu("fp32"))
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]')
    with pytest.raises(UnsupportedError, match="Dense"):
        load_embedder(folder, name="tiny", device=cpu("fp32"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(UnsafeModelError, match="code"):
        load_embedder(folder, name="tiny", device=cpu("fp32"))


@pytest.fixture(scope="module")
def default_folder() -> Path:
    store = ModelStore(user_cache_path("citebound", appauthor=False) / "models", offline=True)
    try:
        return store.resolve("all-MiniLM-L6-v2").folder
    except ModelNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.model
@pytest.mark.parametrize(("dtype", "least"), [("fp32", 0.99999), ("bf16", 0.999)])
def test_the_default_model_agrees_with_sentence_transformers(default_folder: Path, dtype: DType, least: float) -> None:
    texts = [
        "The capital of France is Paris.",
        "Parental leave lasts up to 36 months and must be requested seven weeks in advance. " * 3,
        "Elternzeit muss sieben Wochen vorher beantragt werden.",
        "Signs and symptoms include fever, feeling tired, and easy bruising or bleeding. " * 30,
        "word",
    ]
    embedder = load_embedder(default_folder, name="all-MiniLM-L6-v2", device=cpu(dtype))
    vectors = embedder.embed_passages(texts)
    query = embedder.embed_query("What is the capital of France?")
    embedder.close()
    assert embedder.dimension == 384
    assert (vectors * reference(default_folder, texts)).sum(axis=1).min() >= least
    assert int(np.argmax(vectors @ query)) == 0
