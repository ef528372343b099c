import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rag.catalog.catalog import Catalog
from rag.catalog.database import Database, sqlite_url
from rag.catalog.files import FileStore
from rag.hashing_embedder import HashingEmbedder
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.index.sync import Indexes
from rag.passage_text import embedding_text
from rag.types import Document, NewPassage, ParsedDocument, Receipt

WORDS = """the bridge was opened in red old not cats sleep all day it is a tower stands and when who""".split()  # noqa: SIM905
START = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@dataclass
class Library:
    """A real catalog whose documents have one passage a line, embedded by hashed words."""

    catalog: Catalog
    folder: Path
    embedder: HashingEmbedder = field(default_factory=lambda: HashingEmbedder(64))
    n: int = 0

    def indexes(self, embedder_name: str | None = None) -> Indexes:
        return Indexes(
            self.catalog,
            FaissIndex(self.embedder.dimension),
            LexicalIndex(self.folder / "lexical.sqlite3"),
            self.folder,
            embedder_name or self.embedder.name,
        )

    def add(
        self, text: str, *, collection: str = "default", metadata: dict[str, object] | None = None, name: str = "a.txt"
    ) -> Document:
        """A document that is ready."""
        self.n += 1
        staged = self.catalog.files.stage([f"{self.n} {text}".encode()], 1_000_000)
        self.catalog.documents.register(
            staged,
            name=name,
            collection=collection,
            media_type="text/plain",
            metadata=metadata or {},
            password=None,
            on_duplicate="skip",
            now=START,
        )
        return self._publish(text)

    def replace(self, document_id: str, text: str) -> Document:
        """A new version that is ready."""
        self.n += 1
        staged = self.catalog.files.stage([f"{self.n} {text}".encode()], 1_000_000)
        self.catalog.documents.replace_content(
            document_id, staged, name=None, media_type="text/plain", password=None, now=START
        )
        return self._publish(text)

    def delete(self, document_id: str) -> None:
        self.catalog.documents.delete(document_id, START)

    def _publish(self, text: str) -> Document:
        job = self.catalog.jobs.claim(START)
        assert job is not None and job.document_id is not None and job.version is not None
        passages, start = [], 0
        for ordinal, line in enumerate(text.splitlines(keepends=True)):
            passages.append(
                NewPassage(
                    ordinal=ordinal,
                    text=line,
                    start=start,
                    end=start + len(line),
                    heading=f"Chapter {ordinal}",
                    table_header=None,
                    first_page=None,
                    last_page=None,
                    n_tokens=len(line.split()),
                    continues=False,
                )
            )
            start += len(line)
        parsed = ParsedDocument(text=text, pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
        vectors = self.embedder.embed_passages([embedding_text(passage) for passage in passages])
        self.catalog.documents.publish(
            job.job_id, job.document_id, job.version, parsed, passages, vectors, self.embedder.name, START
        )
        return self.catalog.documents.get(job.document_id)


@pytest.fixture
def make_library(tmp_path: Path) -> Iterator[Callable[[str], Library]]:
    opened: list[Catalog] = []

    def make(name: str) -> Library:
        root = tmp_path / name
        root.mkdir()
        catalog = Catalog(Database(sqlite_url(root / "catalog.sqlite3")), FileStore(root))
        opened.append(catalog)
        catalog.start(START)
        folder = root / "indexes"
        folder.mkdir(mode=0o700)
        return Library(catalog, folder)

    yield make
    for catalog in opened:
        catalog.close()


@pytest.fixture
def library(make_library: Callable[[str], Library]) -> Library:
    return make_library("library")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with random weights, as the base encoder's folder lies on disk."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = _tiny_tokenizer({"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"})
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    model = BertModel(config)
    _save(model, tokenizer, folder)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 128, "mask_token": "[MASK]", **names})
    )
    return folder


@pytest.fixture(scope="session")
def tiny_large_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MPNet of three layers with random weights, as the large encoder's folder lies on disk."""
    import torch
    from transformers import MPNetConfig, MPNetModel

    folder = tmp_path_factory.mktemp("tiny_large")
    tokenizer = _tiny_tokenizer({"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "[UNK]", "mask": "<mask>"})
    torch.manual_seed(6)
    model = MPNetModel(
        MPNetConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=320,
        )
    )  # fmt: skip
    _save(model, tokenizer, folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MPNetTokenizer"}))
    return folder


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # enough for texts to differ
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def _tiny_tokenizer(special: dict[str, str]) -> Any:
    """Word pieces of single letters and of WORDS, as BERT's; the special ones have the first numbers in their order."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:?"
    names = list(special.values())
    entries = [*names, *letters, *(f"##{letter}" for letter in letters), *(w for w in WORDS if w not in letters)]
    tokenizer = Tokenizer(models.WordPiece({entry: n for n, entry in enumerate(entries)}, unk_token=special["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(names)
    first, last = special["cls"], special["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, names.index(first)), (last, names.index(last))],
    )
    return tokenizer
