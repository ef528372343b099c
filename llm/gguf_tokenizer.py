"""The tokenizer inside a GGUF file → tokenizer.json, tokenizer_config.json and chat_template.jinja."""

import json
from pathlib import Path
from typing import Any

from llm.errors import UnsupportedError

Fields = dict[str, Any]

# Token types of the GGUF specification.
_CONTROL, _USER_DEFINED = 3, 4

# Further tokens that end a turn or a text, looked for among the control tokens.
_ENDINGS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>")

# Splitting rule of Qwen2's tokenizer.json, as llama.cpp names it "qwen2".
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tokenizer(fields: Fields, target: Path) -> dict[str, Any]:
    """Write the tokenizer files into `target`; returns the special ids for config.json.

    Raises:
        UnsupportedError: the vocabulary or its splitting rule is not known here.
    """
    from tokenizers import AddedToken

    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    types: list[int] = fields.get("tokenizer.ggml.token_type", [1] * len(tokens))
    kind = fields.get("tokenizer.ggml.model")
    if kind == "gpt2":
        tokenizer = _byte_level_bpe(fields, tokens)
    elif kind == "llama":
        tokenizer = _sentencepiece_bpe(fields, tokens, types)
    else:
        raise UnsupportedError(f"the GGUF tokenizer {kind!r} is not known; use the model's safetensors files instead")
    added = [
        AddedToken(token, special=type_ == _CONTROL, normalized=False)
        for token, type_ in zip(tokens, types, strict=True)
        if type_ in (_CONTROL, _USER_DEFINED)
    ]
    tokenizer.add_tokens(added)
    bos = _special(fields, "bos")
    if fields.get("tokenizer.ggml.add_bos_token") and bos is not None:
        from tokenizers.processors import TemplateProcessing

        tokenizer.post_processor = TemplateProcessing(
            single=f"{tokens[bos]}:0 $A:0",
            pair=f"{tokens[bos]}:0 $A:0 {tokens[bos]}:1 $B:1",
            special_tokens=[(tokens[bos], bos)],
        )
    tokenizer.save(str(target / "tokenizer.json"))
    control = {
        token: index for index, (token, type_) in enumerate(zip(tokens, types, strict=True)) if type_ == _CONTROL
    }
    eos = _special(fields, "eos")
    endings = [] if eos is None else [eos]
    eot = _special(fields, "eot")
    for index in ([] if eot is None else [eot]) + [control[token] for token in _ENDINGS if token in control]:
        if index not in endings:
            endings.append(index)
    padding = _special(fields, "padding")
    if padding is None and endings:
        padding = endings[0]
    named = {"bos": bos, "eos": endings[0] if endings else None, "pad": padding, "unk": _special(fields, "unknown")}
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
        "model_max_length": int(fields[f"{fields['general.architecture']}.context_length"]),
    }
    settings |= {f"{name}_token": tokens[index] for name, index in named.items() if index is not None}
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")
    template = fields.get("tokenizer.chat_template")
    if template:
        (target / "chat_template.jinja").write_text(template, encoding="utf-8")
    return {"bos_token_id": bos, "eos_token_id": endings or None, "pad_token_id": padding}


def _special(fields: Fields, name: str) -> int | None:
    index = fields.get(f"tokenizer.ggml.{name}_token_id")
    return None if index is None else int(index)


def _byte_level_bpe(fields: Fields, tokens: list[str]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    rule = fields.get("tokenizer.ggml.pre")
    normalizer = None
    splitter: Any
    if rule == "smollm":
        splitter = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif rule == "qwen2":
        normalizer = normalizers.NFC()
        splitter = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    elif rule in ("gpt-2", "default"):
        splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        raise UnsupportedError(
            f"the GGUF splitting rule {rule!r} is not known; use the model's safetensors files instead"
        )
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = splitter
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece_bpe(fields: Fields, tokens: list[str], types: list[int]) -> Any:
    """Gemma's kind: pieces with scores, "▁" for a space, bytes as fallback.

    SentencePiece joins the pair whose result has the best score, and a BPE merge list is that order written out.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    if fields.get("tokenizer.ggml.add_space_prefix", True):
        raise UnsupportedError("this GGUF tokenizer adds a space prefix; use the model's safetensors files instead")
    scores: list[float] = fields["tokenizer.ggml.scores"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    candidates: list[tuple[float, int, int, tuple[str, str]]] = []
    for index, (token, type_) in enumerate(zip(tokens, types, strict=True)):
        if type_ != 1 or len(token) < 2:
            continue
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                candidates.append((-scores[index], vocabulary[left], vocabulary[right], (left, right)))
    candidates.sort()
    unknown = _special(fields, "unknown")
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[pair for *_, pair in candidates],
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
