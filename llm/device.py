"""Which device and precision to run a model in, found by trying; and the speeds that `doctor` prints.

torch's OpenMP threads spin at each barrier unless `OMP_WAIT_POLICY=PASSIVE` is in the environment before torch is
imported. On a machine whose cores are shared with parsing and indexing, spinning slows decoding down many times over;
the program's entry sets it, not this package.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm.errors import UnsupportedError
from llm.types import Device, DeviceKind, DType

RequestedDevice = Literal["auto", "cpu", "cuda", "mps"]
RequestedDType = Literal["auto", "bf16", "fp16", "fp32"]

_KINDS: tuple[DeviceKind, ...] = ("cuda", "mps", "cpu")  # best first
_SIZE = 768  # rows and columns of the trial product: 0.9 GFLOP, a few milliseconds
_TOLERANCE = 0.02  # relative Frobenius error of a bf16 product that is right; 2^-8 a factor, averaged over a sum


def probe_device(
    requested: RequestedDevice = "auto", dtype: RequestedDType = "auto", n_threads: int | None = None
) -> Device:
    """Choose CUDA, else MPS, else the CPU, and the precision; sets torch's thread count to `n_threads` where given.

    On a GPU `auto` is bf16 (fp16 on MPS). On a CPU it is bf16 only where a bf16 product is faster than the fp32 one
    and agrees with it: without AMX or AVX512-BF16 it is 44 to 499 times slower (pytorch#146508).

    Raises:
        UnsupportedError: the requested device is not there, or bf16 was asked for and computes wrong results.
    """
    import torch

    if n_threads is not None:
        torch.set_num_threads(max(1, n_threads))
    threads = torch.get_num_threads()
    kind = _kind(requested)
    if dtype == "auto":
        chosen: DType = "fp32"
        if kind == "cuda":
            chosen = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        elif kind == "mps":
            chosen = "fp16"
        elif _bf16_agrees("cpu") and _bf16_is_faster():
            chosen = "bf16"
    else:
        chosen = dtype
        if dtype == "bf16" and not _bf16_agrees(kind):
            raise UnsupportedError(f"bf16 gives wrong results on this {kind}; use fp32")
    return Device(kind=kind, name=_name(kind), dtype=chosen, n_threads=threads)


def _kind(requested: RequestedDevice) -> DeviceKind:
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        return next(kind for kind in _KINDS if present[kind])
    if requested not in present:
        raise UnsupportedError(f"device must be auto, cpu, cuda or mps, got {requested!r}")
    if not present[requested]:
        raise UnsupportedError(
            f"this machine has no {requested} device that torch can use; set the device to auto or cpu"
        )
    return requested


def _name(kind: DeviceKind) -> str:
    import torch

    if kind == "cuda":
        return str(torch.cuda.get_device_name())
    if kind == "mps":
        return "Apple GPU"
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _bf16_agrees(kind: DeviceKind) -> bool:
    """Whether a bf16 product and softmax stay near their fp32 results; fixed numbers, no random state touched."""
    import torch

    a = torch.sin(torch.arange(256 * 512, dtype=torch.float32)).reshape(256, 512)
    b = torch.cos(torch.arange(512 * 384, dtype=torch.float32) * 1.7).reshape(512, 384)
    exact = a @ b
    rounded = (a.to(kind, torch.bfloat16) @ b.to(kind, torch.bfloat16)).float().cpu()
    error = float((rounded - exact).norm() / exact.norm())
    shares = (a.to(kind, torch.bfloat16).softmax(dim=-1).float().cpu() - a.softmax(dim=-1)).abs().max()
    return error < _TOLERANCE and float(shares) < _TOLERANCE


def _bf16_is_faster() -> bool:
    import torch

    def trial(dtype: torch.dtype, size: int) -> Callable[[], object]:
        a, b = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
        return lambda: a @ b

    # A small trial first: where bf16 is emulated the full one would take seconds.
    if _best_seconds(trial(torch.bfloat16, 128), 3) > 5 * _best_seconds(trial(torch.float32, 128), 3):
        return False
    return _best_seconds(trial(torch.bfloat16, _SIZE), 5) < _best_seconds(trial(torch.float32, _SIZE), 5)


def _best_seconds(work: Callable[[], object], n_tries: int) -> float:
    """Shortest of some runs after one warm-up: what else runs on the machine only ever adds time."""
    work()
    best = float("inf")
    for _ in range(n_tries):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Measured limits of a device."""

    bandwidth_gb_s: float  # 10^9 bytes read a second
    matrix_tflop_s: dict[DType, float]  # 10^12 floating point operations a second, by precision


def measure_speeds(device: Device) -> Speeds:
    """Both figures, in about a second; the higher precision and the device's own."""
    dtypes: tuple[DType, ...] = ("fp32", "bf16") if device.dtype != "fp16" else ("fp32", "fp16")
    return Speeds(
        bandwidth_gb_s=measure_bandwidth(device),
        matrix_tflop_s={dtype: measure_matrix_rate(device, dtype) for dtype in dtypes},
    )


def measure_bandwidth(device: Device, *, n_bytes: int = 256 * 1024 * 1024) -> float:
    """GB (10^9 bytes) a second of reading a block larger than the caches: the sum of an fp32 vector, best of 5."""
    import torch

    block = torch.ones(n_bytes // 4, dtype=torch.float32, device=device.kind)
    return n_bytes / _best_seconds(_finished(lambda: block.sum(), device), 5) / 1e9


def measure_matrix_rate(device: Device, dtype: DType, *, size: int | None = None) -> float:
    """TFLOP (10^12) a second of a square matrix product, best of 5; two operations a multiply-add."""
    import torch

    n = size or (1024 if device.kind == "cpu" else 8192)
    torch_dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]
    a = torch.ones(n, n, dtype=torch_dtype, device=device.kind)
    b = torch.ones(n, n, dtype=torch_dtype, device=device.kind)
    return 2 * n**3 / _best_seconds(_finished(lambda: a @ b, device), 5) / 1e12


def _finished(work: Callable[[], object], device: Device) -> Callable[[], object]:
    """`work`, waited for: GPUs return before they are done."""
    import torch

    if device.kind == "cuda":
        return lambda: (work(), torch.cuda.synchronize())
    if device.kind == "mps":
        return lambda: (work(), torch.mps.synchronize())
    return work
