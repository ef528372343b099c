import gzip
import json
from pathlib import Path
from typing import Any

import pytest

WORDS = """the bridge was opened in red old not cats sleep all day it is a tower stands and when who""".split()  # noqa: SIM905


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with random weights, as the base encoder's folder lies on disk."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:?"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *letters, *(f"##{letter}" for letter in letters), *(w for w in WORDS if w not in letters)]
    tokenizer = Tokenizer(models.WordPiece({entry: n for n, entry in enumerate(entries)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    model = BertModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # enough for texts to differ
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 128, "mask_token": "[MASK]", **names})
    )
    return folder


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
