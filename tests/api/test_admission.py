"""Who gets the next turn, and who is sent away."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from api.admission import MAX_RETRY_AFTER_SECONDS, Admission
from api.errors import OverloadedError


def admission(**changes: Any) -> Admission:
    return Admission("questions", **{"max_running": 1, "max_waiting": 100, "usual_seconds": 2.0, **changes})


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(work)


async def settle() -> None:
    for _ in range(20):
        await anyio.sleep(0)


def order_of(asked: list[tuple[str, bool]], **changes: Any) -> list[str]:
    """The order in which turns are given; each turn ends once nothing else moves."""
    door, order = admission(**changes), []

    async def work() -> None:
        async def one(name: str, is_long: bool) -> None:
            async with door.place(name[0]), door.turn(name[0], is_long=is_long):
                order.append(name)
                await settle()

        async with anyio.create_task_group() as tasks:
            for name, is_long in asked:
                tasks.start_soon(one, name, is_long)

    run(work)
    assert door.n_inside == 0
    return order


def test_first_come_first_served_for_one_client() -> None:
    names = [f"a{number}" for number in range(5)]
    assert order_of([(name, False) for name in names]) == names


def test_clients_take_turns_however_much_one_of_them_asks() -> None:
    asked = [(f"a{number}", False) for number in range(4)] + [("b0", False), ("c0", False), ("b1", False)]
    assert order_of(asked) == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


def test_long_work_never_holds_every_turn() -> None:
    async def work() -> None:
        door, at_work, end = admission(max_running=4), [], anyio.Event()

        async def one(name: str, is_long: bool) -> None:
            async with door.place(), door.turn(is_long=is_long):
                at_work.append(name)
                await end.wait()

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(one, f"long {number}", True)
            await settle()
            assert at_work == ["long 0", "long 1", "long 2"]
            tasks.start_soon(one, "short", False)
            await settle()
            assert at_work[-1] == "short"
            end.set()
        assert sorted(at_work) == ["long 0", "long 1", "long 2", "long 3", "long 4", "short"]

    run(work)


def test_a_single_turn_is_given_to_long_work_as_well() -> None:
    assert order_of([("a0", True), ("a1", False)]) == ["a0", "a1"]


def test_whoever_leaves_the_queue_keeps_nobody_waiting() -> None:
    async def work() -> None:
        door, end, served = admission(), anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with door.place(), door.turn():
                await end.wait()

        async def wait(scope: anyio.CancelScope) -> None:
            with scope:
                async with door.place(), door.turn():
                    raise AssertionError("it had gone")

        async def last() -> None:
            async with door.place(), door.turn():
                served.set()

        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(hold)
            await settle()
            tasks.start_soon(wait, scope)
            await settle()
            tasks.start_soon(last)
            await settle()
            scope.cancel()
            await settle()
            assert door.n_inside == 2
            end.set()
            with anyio.fail_after(5):
                await served.wait()
        assert door.n_inside == 0

    run(work)


def test_beyond_the_room_a_client_is_told_when_to_return() -> None:
    async def work() -> None:
        door = admission(max_running=2, max_waiting=2)
        async with door.place("a"), door.place("a"), door.place("b"), door.place("b"):
            with pytest.raises(OverloadedError, match="4 questions are open or waiting") as refused:
                async with door.place("c"):
                    pass
            assert refused.value.retry_after_seconds == 2  # 2 s each, two at once, four of them, half through
            for _ in range(60):
                door.took(10_000.0)
            with pytest.raises(OverloadedError) as refused:
                async with door.place("c"):
                    pass
            assert refused.value.retry_after_seconds == MAX_RETRY_AFTER_SECONDS
        async with door.place("c"):
            assert door.n_inside == 1

    run(work)


def test_a_client_has_a_limit_of_its_own() -> None:
    async def work() -> None:
        door = admission(max_running=8, max_per_client=2)
        async with door.place("a"), door.place("a"):
            with pytest.raises(OverloadedError, match="2 questions of this key"):
                async with door.place("a"):
                    pass
            async with door.place("b"):
                assert door.n_inside == 3

    run(work)
