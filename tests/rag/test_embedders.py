import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embed import Embedder
from rag.hashing_embedder import HashingEmbedder


def test_the_hashing_embedder_is_one() -> None:
    assert isinstance(HashingEmbedder(), Embedder)
    assert (HashingEmbedder().name, HashingEmbedder().dimension) == ("hashing-64", 64)


@given(st.lists(st.text(max_size=40), max_size=8))
def test_vectors_have_length_one_and_do_not_depend_on_company(texts: list[str]) -> None:
    embedder = HashingEmbedder(16)
    heard: list[int] = []
    vectors = embedder.embed_passages(texts, on_progress=heard.append)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == np.float32
    assert heard == list(range(1, len(texts) + 1))
    for text, vector in zip(texts, vectors, strict=True):
        assert math.isclose(float(np.linalg.norm(vector)), 1.0, rel_tol=1e-5)
        assert vector.tolist() == embedder.embed_query(text).tolist()


def test_shared_words_bring_texts_together() -> None:
    embedder = HashingEmbedder(256)
    query = embedder.embed_query("parental leave days")
    near, far = embedder.embed_passages(["Parental leave lasts 90 days.", "Invoices are paid monthly."])
    assert query @ near > 0.5 > query @ far


def test_case_and_order_do_not_count() -> None:
    embedder = HashingEmbedder()
    assert embedder.embed_query("Leave for PARENTS").tolist() == embedder.embed_query("parents: for leave").tolist()


def test_vectors_are_the_same_in_every_process() -> None:
    code = "from rag.hashing_embedder import HashingEmbedder as H; print(H(8).embed_query('a b c d e').tolist())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{HashingEmbedder(8).embed_query('a b c d e').tolist()}\n"}


def test_a_dimension_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        HashingEmbedder(0)


def test_ingest_and_embedders_load_no_torch_before_one_is_loaded() -> None:
    code = (
        "import sys, ingest.pipeline, ingest.sandbox, rag.catalog.catalog, rag.torch_embedder, rag.token_counter, "
        "rag.hashing_embedder; print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
