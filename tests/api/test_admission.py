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


class Clock:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def serve(door: Admission, clock: Clock, *, at_once: int, seconds: float) -> None:
    """Let so many work side by side for so long."""
    end = anyio.Event()

    async def one() -> None:
        async with door.place("warm"), door.turn("warm"):
            await end.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(one)
        await settle()
        clock.now += seconds
        end.set()


async def told(door: Admission, client: str) -> int:
    with pytest.raises(OverloadedError) as refused:
        async with door.place(client):
            pass
    assert f"try again in {refused.value.retry_after_seconds} s" in str(refused.value)
    return refused.value.retry_after_seconds


def test_beyond_the_room_a_client_is_told_when_those_before_it_are_done() -> None:
    async def work() -> None:
        clock = Clock()
        door = admission(max_running=2, max_waiting=2, clock=clock)
        async with door.place("a"), door.place("a"), door.place("b"), door.place("b"):
            with pytest.raises(OverloadedError, match="4 questions are open or waiting"):
                async with door.place("c"):
                    pass
            assert await told(door, "c") == 8  # four of 2 s, while nothing is known
        async with door.place("c"):
            assert door.n_inside == 1

    run(work)


def test_the_time_told_follows_the_newest_work_shared_or_not() -> None:
    async def work() -> None:
        clock = Clock()
        door = admission(max_running=2, max_waiting=2, clock=clock)

        async def told_when_full() -> int:
            async with door.place("a"), door.place("a"), door.place("b"), door.place("b"):
                return await told(door, "c")

        await serve(door, clock, at_once=1, seconds=3.0)
        assert await told_when_full() == 12  # four of 3 s
        for _ in range(4):
            await serve(door, clock, at_once=2, seconds=10.0)  # two in 10 s: 5 s each
        assert await told_when_full() == 20
        for _ in range(40):
            await serve(door, clock, at_once=1, seconds=0.01)
        assert await told_when_full() == 1
        for _ in range(40):
            await serve(door, clock, at_once=1, seconds=10_000.0)
        assert await told_when_full() == MAX_RETRY_AFTER_SECONDS

    run(work)


def test_what_was_broken_off_does_not_count() -> None:
    async def work() -> None:
        clock = Clock()
        door = admission(max_running=1, max_waiting=0, clock=clock)
        with pytest.raises(ValueError, match="broken"):
            async with door.place(), door.turn():
                clock.now += 50.0
                raise ValueError("broken off")
        async with door.place("a"):
            assert await told(door, "b") == 2

    run(work)


def test_a_client_at_its_own_limit_is_told_its_own_time() -> None:
    async def work() -> None:
        clock = Clock()
        door = admission(max_running=2, max_waiting=20, max_per_client=2, clock=clock)
        async with door.place("a"), door.place("a"):
            assert await told(door, "a") == 4  # its own two
            async with door.place("b"), door.place("b"), door.place("c"):
                assert await told(door, "a") == 10  # the others have their turns between: all five

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
