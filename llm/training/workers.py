"""One or several processes on one run: each takes its share of a step's sequences, gradients and figures are summed.

Started by `accelerate launch --no_python` or `torchrun --no-python`, each with a whole copy of the model. As a step's
loss is divided by the step's total before it is differentiated, the sum over processes is the gradient of one process.
"""

import atexit
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llm.types import Device

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Workers:
    """The processes of this run; without an `accelerate.PartialState` there is one."""

    def __init__(self, state: Any = None) -> None:
        self._state = state
        self.n = 1 if state is None else int(state.num_processes)
        self.rank = 0 if state is None else int(state.process_index)  # 0 writes the files

    @property
    def is_main(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a step's items."""
        return items[self.rank :: self.n]

    def sum_gradients(self, parameters: "Iterable[torch.nn.Parameter]") -> None:
        """Make every gradient the sum over the processes; one that got none here counts as zero."""
        if self.n == 1:
            return
        import torch
        from accelerate.utils import reduce  # type: ignore[import-untyped]

        for parameter in parameters:
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = reduce(own, reduction="sum")

    def sum(self, figures: Mapping[str, float], device: Device) -> dict[str, float]:
        """Each figure summed over the processes."""
        if self.n == 1:
            return dict(figures)
        import torch
        from accelerate.utils import reduce  # type: ignore[import-untyped]

        dtype = torch.float32 if device.kind == "mps" else torch.float64
        row = torch.tensor(list(figures.values()), dtype=dtype, device=device.kind)
        sums = zip(figures.items(), reduce(row, reduction="sum").tolist(), strict=True)
        return {name: type(own)(total) for (name, own), total in sums}  # counts stay whole numbers

    def wait(self) -> None:
        """Until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()


def join_workers(device: Device) -> Workers:
    """The processes that the launcher started beside this one; it is told so by the environment.

    The group is left before the interpreter ends: its threads may still hold tensors, and one that lets go of a
    Python object while the interpreter is taken down aborts the process.
    """
    from accelerate import PartialState  # type: ignore[import-untyped]

    state = PartialState(cpu=device.kind == "cpu")
    atexit.register(state.destroy_process_group)
    return Workers(state)
