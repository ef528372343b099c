"""Continuous batching over paged attention: every step reads one token of each running text and a piece of a prompt.

There is no thread of its own. Whoever waits for the next token of its request runs the step for all requests, if
nobody else does (so no step runs that nobody waits for), and a new request joins with the next step.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from llm.engines.paged_cache import BlockPool, Lease
from llm.engines.paged_model import Logits, PagedModel
from llm.engines.prompt_lookup import PromptLookup
from llm.engines.row import Row
from llm.errors import CancelledError
from llm.types import Cancel, Token

PROMPT_STEP = 256  # prompt tokens read at once: bounds the time until a cancellation is noticed
_LONG_PROMPT = 1024  # tokens left to read, of which less is read at once while others write:
_BESIDE_WRITING = 64  # their next tokens come with each step
_OLDEST_FIRST = 4  # every so many steps the oldest prompt is read first, else the one with the least left
_POLL_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class Run:
    """One row and what the model has read of it."""

    row: Row
    started: float
    lease: Lease | None = None  # None while it waits for room in the cache
    n_read: int = 0  # tokens in the cache
    lookup: PromptLookup | None = None
    out: deque[Token] = field(default_factory=deque)  # tokens that nobody has taken yet
    dropped: bool = False  # nobody waits for it any more
    done: bool = False
    error: Exception | None = None

    @property
    def n_left(self) -> int:
        """Prompt tokens that are not read yet."""
        return len(self.row.prompt) - self.n_read


class PagedSteps:
    """All requests of one model. Thread-safe.

    Args:
        model: Read by one thread at a time.
        lookup: Whether a request that runs alone drafts tokens by prompt lookup.
    """

    def __init__(self, model: PagedModel, *, lookup: bool = True) -> None:
        self._model = model
        self._with_lookup = lookup
        self._pool = BlockPool(model.n_blocks, model.block_tokens)
        self._changed = threading.Condition()
        self._stepping = False
        self._n_steps = 0
        self._new: deque[Run] = deque()  # not yet seen by a step
        self._waiting: deque[Run] = deque()  # for room in the cache, first come first served
        self._running: list[Run] = []

    def add(self, row: Row) -> Run:
        """Let a row take part from the next step on."""
        run = Run(row=row, started=time.perf_counter())
        with self._changed:
            self._new.append(run)
        return run

    def wait(self, run: Run) -> None:
        """Return once the run has tokens to take or is done; meanwhile work on all runs, where nobody else does.

        Raises:
            Exception: what the model raised in a step that this run was part of.
        """
        while not (run.out or run.done):
            if self._enter(lambda: bool(run.out) or run.done):
                try:
                    self._step()
                finally:
                    self._leave()
        if run.error is not None and not run.out:
            raise run.error

    def drop(self, run: Run) -> None:
        """Nobody waits for this run any more: no further step reads for it."""
        run.dropped = True

    def teach(self, prompt: Sequence[int], continuation: Sequence[int], cancelled: Sequence[Cancel]) -> Logits:
        """(len(continuation), V) logits that stood behind each token of a given continuation.

        Raises:
            CancelledError: all of `cancelled` were set.
        """
        tokens = [*prompt, *continuation][:-1]
        while True:
            while not self._enter(lambda: False):
                pass
            try:
                lease = self._pool.reserve(tokens[: len(prompt)], len(tokens))
                if lease is None:
                    self._step()  # the others finish, and leave room
                    continue
                try:
                    return self._teach(tokens, len(prompt) - 1, lease, cancelled)
                finally:
                    self._pool.release(lease)
            finally:
                self._leave()

    def _teach(self, tokens: list[int], first: int, lease: Lease, cancelled: Sequence[Cancel]) -> Logits:
        found = []
        at = lease.n_known
        while at < len(tokens):
            if cancelled and all(cancel.is_set for cancel in cancelled):
                raise CancelledError("the request was cancelled")
            end = min(at + PROMPT_STEP, len(tokens))
            wanted = list(range(max(first - at, 0), end - at))
            logits = self._model.read([(tokens[at:end], at, lease.blocks)], wanted or [end - at - 1])
            if wanted:
                found.append(logits.copy())
            at = end
        self._pool.remember(lease, tokens)
        return np.concatenate(found)

    def _enter(self, ready: Callable[[], bool]) -> bool:
        """Whether this thread is the one that works now; False where `ready()` or it is worth asking again."""
        with self._changed:
            if not ready() and self._stepping:
                self._changed.wait(_POLL_SECONDS)
            if ready() or self._stepping:
                return False
            self._stepping = True
            return True

    def _leave(self) -> None:
        with self._changed:
            self._stepping = False
            self._changed.notify_all()

    def _step(self) -> None:
        """Read one more token, or one more piece of the prompt, of every run that has room in the cache."""
        self._admit()
        plans = self._plan()
        if not plans:
            return
        wanted: list[int] = []
        at = 0
        for plan in plans:
            at += len(plan.ids)
            wanted += range(at - plan.n_wanted, at)
        try:
            logits = self._model.read([(plan.ids, plan.run.n_read, _blocks(plan.run)) for plan in plans], wanted)
        except Exception as error:
            for plan in plans:
                plan.run.error = error
                self._finish(plan.run)
            return
        at = 0
        for plan in plans:
            self._take(plan, logits[at : at + plan.n_wanted])
            at += plan.n_wanted

    def _admit(self) -> None:
        """Give the first of those that wait their blocks, and end those that were cancelled."""
        with self._changed:
            self._waiting += self._new
            self._new.clear()
        for run in [*self._waiting, *self._running]:
            if run.dropped or run.row.request.cancel.is_set:
                run.row.finish = "cancelled"
                self._finish(run)
        self._waiting = deque(run for run in self._waiting if not run.done)
        while self._waiting:
            run = self._waiting[0]
            prompt = run.row.prompt
            run.lease = self._pool.reserve(prompt, len(prompt) + run.row.request.sampling.max_new_tokens)
            if run.lease is None:
                return
            run.n_read = run.lease.n_known
            self._running.append(self._waiting.popleft())

    def _plan(self) -> list["_Plan"]:
        """What the next step reads: a token of each text, and of the prompts as much as a step may."""
        # Of eight texts at once, drafts of 4 tokens made none end sooner and the first tokens of others come later.
        alone = self._with_lookup and len(self._running) == 1 and not self._waiting
        plans = [_next_tokens(run, drafting=alone) for run in self._running if run.n_left <= 0]
        prompts = sorted((run for run in self._running if run.n_left > 0), key=lambda run: run.n_left)
        self._n_steps += 1
        if self._n_steps % _OLDEST_FIRST == 0:
            prompts.sort(key=lambda run: run.started)
        others_write = bool(plans)
        room = PROMPT_STEP
        for run in prompts:
            most = min(room, _BESIDE_WRITING) if others_write and run.n_left > _LONG_PROMPT else room
            ids = run.row.prompt[run.n_read : run.n_read + most]
            plans.append(_Plan(run=run, ids=ids, n_wanted=int(len(ids) == run.n_left)))
            room -= len(ids)
            if not room:
                break
        return plans

    def _take(self, plan: "_Plan", logits: Logits) -> None:
        """Choose the tokens that follow what was read; drafted ones stand while they are what was chosen."""
        run, row = plan.run, plan.run.row
        if not plan.n_wanted:
            run.n_read += len(plan.ids)
            return
        draft = plan.ids[1:] if run.n_left <= 0 else []
        if run.n_left > 0:
            run.n_read += len(plan.ids) - 1
            self._pool.remember(_leased(run), row.prompt)
        chosen: list[int] = []
        for position, line in enumerate(logits):
            token_id, probability = _choose(row, line)
            run.n_read += 1
            chosen.append(token_id)
            run.out.extend(row.append(token_id, probability, time.perf_counter() - run.started))
            if row.finish is not None or (position < len(draft) and token_id != draft[position]):
                break
        if run.lookup is not None:
            run.lookup.learn(len(draft), len(chosen) - 1)
            run.lookup.extend(chosen)
        if row.finish is not None:
            self._finish(run)

    def _finish(self, run: Run) -> None:
        if run.lease is not None:
            if run.error is None:
                self._pool.remember(run.lease, [*run.row.prompt, *run.row.new_ids][: run.n_read])
            self._pool.release(run.lease)
            run.lease = None
        if run in self._running:
            self._running.remove(run)
        run.out.extend(run.row.finish_text())
        run.done = True


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one run reads in a step."""

    run: Run
    ids: Sequence[int]
    n_wanted: int  # places at the end whose logits are needed


def _next_tokens(run: Run, *, drafting: bool) -> _Plan:
    """The last token and, after it, a draft."""
    row = run.row
    draft: list[int] = []
    if drafting:
        if run.lookup is None:
            run.lookup = PromptLookup(row.prompt, row.text_of, row.opening)
            run.lookup.extend(row.new_ids)
        draft = run.lookup.draft(row.request.sampling.max_new_tokens - len(row.new_ids) - 1)
    ids = [row.new_ids[-1], *draft]
    return _Plan(run=run, ids=ids, n_wanted=len(ids))


def _choose(row: Row, logits: Logits) -> tuple[int, float]:
    """The next token and its probability under the model's own softmax."""
    best = int(logits.argmax())
    chosen = best if row.takes(best) else row.choose(torch.from_numpy(logits))
    relative = np.exp(logits - logits[best])
    return chosen, float(relative[chosen] / relative.sum())


def _leased(run: Run) -> Lease:
    if run.lease is None:
        raise RuntimeError("a run without blocks took part in a step")
    return run.lease


def _blocks(run: Run) -> Sequence[int]:
    return _leased(run).blocks
