"""The probe tells what is there and refuses what is not."""

import pytest
import torch

from llm.device import measure_bandwidth, measure_matrix_rate, measure_speeds, probe_device
from llm.errors import UnsupportedError
from llm.types import Device


@pytest.fixture(autouse=True)
def same_threads_after() -> None:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_cpu_is_always_there() -> None:
    device = probe_device("cpu", n_threads=1)
    assert (device.kind, device.n_threads) == ("cpu", 1)
    assert device.dtype in ("bf16", "fp32")
    assert device.name
    assert torch.get_num_threads() == 1


def test_a_requested_precision_is_kept() -> None:
    assert probe_device("cpu", "fp32").dtype == "fp32"


def test_auto_takes_what_is_present() -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert probe_device().kind == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_a_sentence() -> None:
    with pytest.raises(UnsupportedError, match="no cuda device"):
        probe_device("cuda")


def test_an_unknown_device_is_a_sentence() -> None:
    with pytest.raises(UnsupportedError, match="auto, cpu, cuda or mps"):
        probe_device("tpu")  # type: ignore[arg-type]


def test_speeds_are_measured() -> None:
    device = Device(kind="cpu", name="x", dtype="fp32", n_threads=1)
    assert measure_bandwidth(device, n_bytes=1 << 20) > 0
    assert measure_matrix_rate(device, "fp32", size=64) > 0
    speeds = measure_speeds(device)
    assert set(speeds.matrix_tflop_s) == {"fp32", "bf16"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_runs_bf16() -> None:
    assert probe_device("cuda").dtype == "bf16"
