"""Every setting: flags over `CITEBOUND_…` over `citebound.toml` over defaults. The only reader of the environment."""

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ingest.limits import MIB, Limits
from rag.errors import InvalidInputError

APP_NAME = "citebound"
SETTINGS_FILE = "citebound.toml"

Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class Settings(BaseSettings):
    """What a person can choose. Sizes are bytes, durations seconds.

    Each field is the flag `--field-name` where a command has one, `CITEBOUND_FIELD_NAME` in the environment and
    `field_name` in `citebound.toml` in the working folder.
    """

    model_config = SettingsConfigDict(
        env_prefix="CITEBOUND_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True, allow_inf_nan=False
    )

    # where things are
    data_dir: Folder = Field(default_factory=lambda: user_data_path(APP_NAME, appauthor=False))
    model_cache: Folder = Field(default_factory=lambda: user_cache_path(APP_NAME, appauthor=False) / "models")
    catalog_url: str | None = None  # SQLAlchemy URL; None = catalog.sqlite3 in data_dir
    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    port: int = Field(default=8000, ge=0, le=65535)  # 0 = any free port
    offline: bool = False  # never reach for a model that is not here

    # models
    embedder: str = Field(default="all-MiniLM-L6-v2", min_length=1)  # "hashing" needs no weights
    # "scripted" needs no weights; http://HOST:PORT/v1#MODEL is a remote decoder, which the four after it are for
    decoder: str = Field(default="SmolLM2-135M-Instruct", min_length=1)
    decoder_api_key: SecretStr | None = None
    decoder_tokenizer: str | None = None  # a model's name or folder; None = estimate
    decoder_context_tokens: int | None = Field(default=None, ge=64, le=10_000_000)  # None = ask it
    decoder_timeout_seconds: float = Field(default=120.0, gt=0, le=3600)  # longest silence
    decoder_adapter: str = "shipped"  # "none", or a folder that `citebound train sft` wrote
    engine: Literal["auto", "openvino", "torch"] = "auto"  # of the decoder; "auto" is OpenVINO on a CPU, else torch
    # "large" has a larger encoder (438 MB) read again what "shipped" is unsure of, "auto" the same where it has been
    # pulled; "overlap" counts words and needs no weights
    verifier: Literal["auto", "large", "shipped", "overlap", "none"] = "auto"
    reranker: Literal["auto", "none"] = "auto"  # "auto" is the shipped one, unless the embedder has no weights either
    second_look: Literal["auto", "none"] = "auto"  # the decoder is asked again where the verifier finds another answer
    scripted_replies: tuple[str, ...] = ("[1]",)  # what decoder="scripted" says, in turn
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=1024)  # None = the physical cores

    # answers
    k: int = Field(default=8, ge=1, le=100)
    prompt_tokens: int = Field(default=500, ge=64, le=131_072)
    demonstrations: Path | None = None  # JSONL of question, passage, answer: worked questions to choose from
    n_demonstrations: int = Field(default=0, ge=0, le=16)  # the nearest to a question; 0 = the whole file
    continue_prompts: bool = False  # a follow-up reads on after the prompt before it: sooner there, and less to read
    max_new_tokens: int = Field(default=128, ge=1, le=8192)
    attribution_threshold: float | None = Field(default=None, ge=0, le=1)  # None = the shipped threshold
    sure_abstention: float | None = Field(default=None, gt=0, le=1)  # more probable ones are believed; None = shipped
    target_risk: float | None = Field(default=None, gt=0, lt=1)  # share of wrong answers that abstaining shall hold
    dense_weight: float = Field(default=1.0, ge=0, le=100)  # of the reciprocal rank fusion
    lexical_weight: float = Field(default=1.0, ge=0, le=100)

    # bounds
    max_file_bytes: int = Field(default=200 * MIB, ge=1)
    max_request_bytes: int = Field(default=1024 * MIB, ge=1)
    max_json_bytes: int = Field(default=8 * MIB, ge=1)
    max_comparison_bytes: int = Field(default=128 * MIB, ge=1)  # of a request for a comparison
    max_request_files: int = Field(default=1000, ge=1, le=100_000)
    max_parallel_uploads: int = Field(default=8, ge=1, le=64)
    max_running_questions: int = Field(default=8, ge=1, le=1_000)  # at once; the decoder reads them together
    max_waiting_questions: int = Field(default=8, ge=0, le=10_000)  # beyond those that run; then 429
    max_questions_per_key: int | None = Field(default=None, ge=1, le=10_000)  # running and waiting; None = no own limit
    max_event_streams: int = Field(default=64, ge=1, le=10_000)
    heartbeat_seconds: float = Field(default=10.0, gt=0, le=300)  # between comment lines of a quiet stream
    max_pages: int = Field(default=5_000, ge=1)
    max_chars: int = Field(default=20_000_000, ge=1)
    parse_cpu_seconds: float = Field(default=300.0, gt=0)
    parse_wall_seconds: float = Field(default=600.0, gt=0)
    parse_memory_bytes: int = Field(default=1_536 * MIB, ge=64 * MIB)
    max_parallel_parses: int = Field(default=4, ge=1, le=256)
    max_pixels: int = Field(default=16_000_000, ge=10_000)  # of one rendered page

    # logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def limits(self) -> Limits:
        """The bounds of one parse."""
        return Limits(
            max_file_bytes=self.max_file_bytes,
            max_pages=self.max_pages,
            max_chars=self.max_chars,
            cpu_seconds=self.parse_cpu_seconds,
            wall_seconds=self.parse_wall_seconds,
            memory_bytes=self.parse_memory_bytes,
            max_pixels=self.max_pixels,
            max_parallel=self.max_parallel_parses,
        )

    @property
    def database_url(self) -> str:
        """The catalog's SQLAlchemy URL."""
        return self.catalog_url or f"sqlite:///{self.data_dir / 'catalog.sqlite3'}"


def load_settings(**flags: Any) -> Settings:
    """The settings in force; a flag that is None was not given.

    Raises:
        InvalidInputError: a value or a name in the flags, the environment or `citebound.toml` cannot be used.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            raise InvalidInputError(f"there is no setting named {name!r}; correct it in {SETTINGS_FILE}") from error
        message = first["msg"][:1].lower() + first["msg"][1:]
        places = f"flag, CITEBOUND_{name.upper()}, or {SETTINGS_FILE}"
        raise InvalidInputError(f"setting {name}: {message} ({places})") from error
    except (SettingsError, ValueError) as error:  # a value that is not JSON, a file that is not TOML
        raise InvalidInputError(f"{SETTINGS_FILE} or a CITEBOUND_ variable cannot be read: {error}") from error
