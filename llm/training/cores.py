"""Gradients of several sequences at once on a CPU: each core reads its own with one thread.

Between the matrix products of a small model stand many operations that are too small for two threads, so one sequence
on two threads leaves a core waiting for much of its time; two sequences on one thread each took two thirds of the time
(SmolLM2-135M with an adapter, two cores). The sums are taken in the order of the sequences, whichever core is ready
first: the same run gives the same bytes.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm.core_threads import start_core_threads
from llm.types import Device

if TYPE_CHECKING:
    import torch

Gradients = Sequence["torch.Tensor | None"]
AddGradients = Callable[[Sequence[Any], "Callable[[Any], torch.Tensor]"], list[float]]


@contextmanager
def backward_on_cores(parameters: "Iterable[torch.nn.Parameter]", device: Device) -> Iterator[AddGradients]:
    """A function that adds to each parameter's `grad` the gradient of the losses of some items, and tells the losses.

    On a CPU with several threads as many items are read at once; elsewhere one after the other.
    """
    import torch

    learned = [parameter for parameter in parameters if parameter.requires_grad]

    def gradients(item: Any, loss_of: "Callable[[Any], torch.Tensor]") -> "tuple[float, Gradients]":
        loss = loss_of(item)
        return float(loss.detach()), torch.autograd.grad(loss, learned, allow_unused=True)

    def add(found: "Gradients") -> None:
        for parameter, gradient in zip(learned, found, strict=True):
            if gradient is not None:
                parameter.grad = gradient.contiguous() if parameter.grad is None else parameter.grad.add_(gradient)

    def one_by_one(items: Sequence[Any], loss_of: "Callable[[Any], torch.Tensor]") -> list[float]:
        losses = []
        for item in items:
            loss, found = gradients(item, loss_of)
            add(found)
            losses.append(loss)
        return losses

    if device.kind != "cpu" or device.n_threads < 2:
        yield one_by_one
        return

    with start_core_threads(device.n_threads, "gradients") as cores:

        def at_once(items: Sequence[Any], loss_of: "Callable[[Any], torch.Tensor]") -> list[float]:
            losses: list[float] = []
            waiting: collections.deque[Future[tuple[float, Gradients]]] = collections.deque()
            left = iter(items)
            while True:
                while len(waiting) <= device.n_threads and (item := next(left, None)) is not None:
                    waiting.append(cores.submit(gradients, item, loss_of))
                if not waiting:
                    return losses
                loss, found = waiting.popleft().result()
                add(found)
                losses.append(loss)

        yield at_once
