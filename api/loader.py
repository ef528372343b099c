"""Chooses and makes what takes long to make: indexes, embedder, decoder, judge. Imports torch only for weights."""

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from api.judges import TRAINED_FROM, load_judge
from api.loading import Pending
from api.parts import Parts, Search
from api.reranking import Reranking
from api.settings import Settings
from ingest.pipeline import Ingestor
from llm.adapters import Adapter, read_adapter, shipped_adapter
from llm.engines.remote import RemoteDecoder, connect
from llm.engines.remote_address import is_address, parse_address
from llm.engines.remote_tokens import Estimate, Tokenizer
from llm.errors import UnsupportedError
from llm.scripted import ScriptedDecoder
from llm.sources import ModelStore
from llm.types import Decoder, Device
from rag.embed import Embedder, TokenCounter
from rag.hashing_embedder import HashingEmbedder
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.index.sync import Indexes
from rag.passage_text import embedding_text
from rag.rerank import shipped as shipped_reranker
from rag.rerank.reorder import Reranker
from rag.retrieve import Retriever, Weights
from rag.token_counter import WordCounter, load_token_counter, read_json
from rag.verify.cached_judge import CachedJudge

T = TypeVar("T")

_HASHING = re.compile(r"hashing(?:-([1-9][0-9]{0,3}))?")  # the embedder without weights, with its dimension
_HASHING_DIMENSION = 64
_SCRIPTED = "scripted"
_HASHING_MAX_TOKENS = 128
_STOPPING = "the service is stopping"
_REMOTE_PARALLEL = 64  # requests to a remote decoder at once; it batches them
_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)  # between two tries to reach a remote decoder; the last for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderChoice:
    """The embedder of the settings, known before it is loaded."""

    name: str  # what its vectors carry
    dimension: int
    folder: Path | None  # None where there are no weights

    def load(self, device: Device | None) -> Embedder:
        """The embedder itself; imports torch where there are weights."""
        if self.folder is None or device is None:
            return HashingEmbedder(self.dimension)
        from rag.torch_embedder import load_embedder

        return load_embedder(self.folder, name=self.name, device=device)

    def counter(self) -> TokenCounter:
        """What cuts passages for it."""
        return WordCounter(_HASHING_MAX_TOKENS) if self.folder is None else load_token_counter(self.folder)


class Loader:
    """Makes what takes long, one after the other in a thread of its own: indexes, embedder, decoder, judge.

    Args:
        settings: Which ones.
        decoder: False leaves the decoder out.
        judge: False leaves the judge out.
    """

    def __init__(self, settings: Settings, *, decoder: bool, judge: bool) -> None:
        self._settings = settings
        self._with_decoder = decoder
        self._with_judge = judge and settings.verifier != "none"
        self._models = ModelStore(settings.model_cache, offline=settings.offline)
        self._choice: EmbedderChoice | None = None
        self._device: Device | None = None
        self._decoder_sha256: dict[str, str] = {}
        self._reindexing = threading.Lock()
        self._remote: list[RemoteDecoder] = []

    def close(self) -> None:
        """End the connections of remote decoders."""
        for decoder in self._remote:
            decoder.close()

    def load(self, parts: Parts) -> None:
        """Fill the pending values of `parts` in the order in which they are needed."""
        if not self._with_decoder:
            parts.decoder.leave_out("this service was started without a decoder")
        if not self._with_judge:
            parts.judge.leave_out("this service was started without a verifier; see the setting verifier")
        self._load_search(parts)
        if self._with_decoder:
            if parts.search.missing is None:
                parts.reranking.usual()  # now, so that the first question need not wait for it
            _make(parts, parts.decoder, lambda: self._load_decoder(self._settings.decoder))
        if self._with_judge:
            _make(parts, parts.judge, self._load_judge)
        if self._with_decoder and is_address(self._settings.decoder):
            self._keep_trying(parts)

    def reindex(self, parts: Parts) -> int:
        """Rebuild every index from the catalog; also mends indexes that could not be opened.

        Returns:
            The passages that were embedded again: 0 where their vectors are of the embedder of the settings.

        Raises:
            NotReadyError: the embedder or the indexes cannot be loaded; the message says why.
        """
        parts.begin()
        parts.embedder.wait()
        embedder = parts.embedder.get()
        with self._reindexing:
            n_embedded = 0
            if parts.catalog.passages.embedder() not in (None, embedder.name):
                n_embedded = parts.catalog.passages.embed_again(
                    lambda passages: embedder.embed_passages([embedding_text(passage) for passage in passages]),
                    embedder.name,
                )
            parts.search.wait()
            opened = parts.indexes.peek()
            if opened is not None:
                opened.rebuild()
            else:
                parts.indexes.make(lambda: self._open_indexes(parts))
                parts.indexes.get()
                parts.search.make(lambda: self._open_search(parts))
        parts.wake()
        return n_embedded

    def reranking(self) -> Reranking:
        """The shipped reranker, not loaded yet; the embedder without weights goes with the order of the search."""
        name = shipped_reranker.read_parameters().name if shipped_reranker.is_shipped() else None
        has_weights = _HASHING.fullmatch(self._settings.embedder) is None
        return Reranking(name, is_usual=self._settings.reranker == "auto" and has_weights, load=self._load_reranker)

    def decoder_named(self, name: str) -> Decoder:
        """A decoder other than that of the settings, loaded now and kept by the caller alone.

        Raises:
            UnsupportedError: it is remote. Its address comes from the settings alone: whoever may ask for a comparison
                may not choose where this machine connects to.
            ModelNotFoundError: no source has a model of that name.
            DownloadError: it could not be fetched.
        """
        if is_address(name) and name != self._settings.decoder:
            raise UnsupportedError("a remote decoder is chosen by the setting decoder, not named in a request")
        return self._load_decoder(name)

    def decoder_sha256(self, name: str) -> str | None:
        """The hash of the weights of a decoder that was loaded here; None where it has none."""
        return self._decoder_sha256.get(name)

    def _load_search(self, parts: Parts) -> None:
        parts.indexes.make(lambda: self._open_indexes(parts))
        _make(parts, parts.embedder, self._load_embedder)
        missing = parts.indexes.missing or parts.embedder.missing
        if missing is None:
            parts.search.make(lambda: self._open_search(parts))
        else:
            parts.search.give_up(missing)

    def _open_indexes(self, parts: Parts) -> Indexes:
        choice, folder = self._chosen(), parts.folder.indexes_path
        lexical = LexicalIndex(folder / "lexical.sqlite3")
        try:
            indexes = Indexes(parts.catalog, FaissIndex(choice.dimension), lexical, folder, choice.name)
            indexes.open()
        except BaseException:
            lexical.close()
            raise
        return indexes

    def _open_search(self, parts: Parts) -> Search:
        settings, choice = parts.settings, self._chosen()
        embedder, indexes = parts.embedder.get(), parts.indexes.get()
        weights = Weights(dense=settings.dense_weight, lexical=settings.lexical_weight)
        ingestor = Ingestor(parts.catalog, parts.sandbox, indexes, lambda: embedder, choice.counter, parts.now)
        ingestor.start()
        retriever = Retriever(parts.catalog, indexes, embedder, weights)
        return Search(retriever=retriever, ingestor=ingestor, counter=choice.counter())

    def _load_embedder(self) -> Embedder:
        choice = self._chosen()
        return choice.load(None if choice.folder is None else self._probe())

    def _chosen(self) -> EmbedderChoice:
        if self._choice is None:
            self._choice = self._choose_embedder()
        return self._choice

    def _choose_embedder(self) -> EmbedderChoice:
        name = self._settings.embedder
        hashing = _HASHING.fullmatch(name)
        if hashing:
            stub = HashingEmbedder(int(hashing[1] or _HASHING_DIMENSION))
            return EmbedderChoice(name=stub.name, dimension=stub.dimension, folder=None)
        model = self._models.resolve(name)
        dimension = int(read_json(model.folder / "config.json").get("hidden_size", 0))
        return EmbedderChoice(name=f"{model.name}@{model.sha256[:12]}", dimension=dimension, folder=model.folder)

    def _load_decoder(self, name: str) -> Decoder:
        if name == _SCRIPTED:
            return ScriptedDecoder(self._settings.scripted_replies)
        if is_address(name):
            return self._connect(name)
        model = self._models.resolve(name)
        self._decoder_sha256[model.name] = model.sha256
        device = self._probe()
        from llm.engines.choose import load_local_decoder
        from llm.engines.packed import packed

        adapter = self._adapter(model.name, model.sha256)
        decoder = load_local_decoder(
            model.folder,
            name=model.name,
            device=device,
            conversions=self._settings.model_cache / ".converted" / "openvino",
            adapter=adapter,
            engine=self._settings.engine,
        )
        return packed(decoder)

    def _connect(self, address: str) -> Decoder:
        settings = self._settings
        tokenizer, key = settings.decoder_tokenizer, settings.decoder_api_key
        decoder = connect(
            parse_address(address),
            api_key=None if key is None else key.get_secret_value(),
            counter=Estimate() if tokenizer is None else Tokenizer(self._tokenizer_folder(tokenizer)),
            context_tokens=settings.decoder_context_tokens,
            timeout_seconds=settings.decoder_timeout_seconds,
            max_parallel=_REMOTE_PARALLEL,
        )
        self._remote.append(decoder)
        return decoder

    def _tokenizer_folder(self, name: str) -> Path:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else self._models.resolve(name).folder

    def _keep_trying(self, parts: Parts) -> None:
        """A server that is not there yet may come: unlike files, it is tried again."""
        waits = itertools.chain(_AGAIN_SECONDS, itertools.repeat(_AGAIN_SECONDS[-1]))
        while parts.decoder.peek() is None and not parts.stopping.wait(next(waits)):
            _make(parts, parts.decoder, lambda: self._load_decoder(self._settings.decoder))

    def _adapter(self, name: str, sha256: str) -> Adapter | None:
        wanted = self._settings.decoder_adapter
        if wanted == "none":
            return None
        if wanted == "shipped":
            return shipped_adapter(sha256)
        adapter = read_adapter(Path(wanted).expanduser())
        if adapter.base_sha256 != sha256:
            raise UnsupportedError(
                f"the adapter {adapter.name} was trained on {adapter.base}, whose weights are not those of {name}; "
                "set decoder_adapter to shipped or none"
            )
        return adapter

    def _load_judge(self) -> CachedJudge:
        return load_judge(self._settings, self._models, self._probe)

    def _load_reranker(self) -> Reranker:
        from rag.rerank.fused import load_reranker

        return load_reranker(lambda: self._models.resolve(TRAINED_FROM).folder, self._probe)

    def _probe(self) -> Device:
        if self._device is None:
            from llm.device import probe_device

            settings = self._settings
            self._device = probe_device(settings.device, settings.dtype, settings.threads)
        return self._device


def _make(parts: Parts, pending: Pending[T], build: Callable[[], T]) -> None:
    """Make a value unless the service is stopping."""
    if parts.stopping.is_set():
        pending.give_up(_STOPPING)
    else:
        pending.make(build)
