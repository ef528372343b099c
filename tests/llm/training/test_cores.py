import pytest
import torch

from llm.training.cores import backward_on_cores
from llm.types import Device


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_gradients_are_those_of_one_sum_and_the_same_in_every_run(n_threads: int) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(8, 8, generator=generator))
    unused, frozen = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2), requires_grad=False)
    items = [torch.randn(5, 8, generator=generator) for _ in range(7)]

    def loss_of(item: torch.Tensor) -> torch.Tensor:
        return (item @ weight).tanh().square().sum()

    sum(loss_of(item) for item in items).backward()
    expected, weight.grad = weight.grad, None
    runs = []
    device = Device(kind="cpu", name="test", dtype="fp32", n_threads=n_threads)
    with backward_on_cores([weight, unused, frozen], device) as add_gradients:
        for _ in range(3):
            losses = add_gradients(items, loss_of)
            assert losses == pytest.approx([float(loss_of(item).detach()) for item in items])
            runs.append(weight.grad)
            weight.grad = None
    torch.testing.assert_close(runs[0], expected)
    assert all(torch.equal(runs[0], run) for run in runs)
    assert unused.grad is None and frozen.grad is None


def test_an_error_of_one_item_is_told_and_ends_the_step() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    device = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)

    def loss_of(item: int) -> torch.Tensor:
        if item == 2:
            raise ValueError("item 2")
        return weight.sum() * item

    with backward_on_cores([weight], device) as add_gradients, pytest.raises(ValueError, match="item 2"):
        add_gradients([0, 1, 2, 3], loss_of)
