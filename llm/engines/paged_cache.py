"""Which block of the key–value cache belongs to which tokens: reuse of prompts' beginnings, bounded memory.

A block holds the keys and values of `block_tokens` tokens in a row. A full block is known by its tokens and by the
block before it, so that a prompt which begins as an earlier one takes over its blocks (Kwon et al., SOSP 2023, §4.4,
shared prefixes). Blocks that no sequence holds are forgotten only when their place is needed, the longest unused first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

_Key = tuple[int, tuple[int, ...]]  # serial of the block before (0 at the beginning), and the tokens


@dataclass(slots=True)
class Lease:
    """The blocks of one sequence, in order."""

    blocks: list[int]
    n_known: int  # tokens at the beginning whose keys and values are there already
    serials: list[int] = field(default_factory=list)  # of the blocks at the beginning that are known by their tokens


class BlockPool:
    """All blocks of one cache. Not thread-safe.

    Args:
        n_blocks: Blocks in all.
        block_tokens: Tokens a block holds.
    """

    def __init__(self, n_blocks: int, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self.n_blocks = n_blocks
        self._unused = list(range(n_blocks - 1, -1, -1))
        self._idle: OrderedDict[int, None] = OrderedDict()  # known blocks that no sequence holds, longest unused first
        self._holders = [0] * n_blocks
        self._known: dict[_Key, int] = {}
        self._keys: list[_Key | None] = [None] * n_blocks
        self._serials = [0] * n_blocks
        self._last_serial = 0

    @property
    def n_free(self) -> int:
        """Blocks that a new sequence could get."""
        return len(self._unused) + len(self._idle)

    def reserve(self, tokens: Sequence[int], n_tokens: int) -> Lease | None:
        """Blocks for `n_tokens` tokens that begin with `tokens`; None while too few are free.

        The longest known beginning of `tokens` is taken over, but never all of them: the last one has to be read
        again for its logits.
        """
        known = self._beginning(tokens)
        n_new = -(-n_tokens // self.block_tokens) - len(known)
        if n_new > self.n_free - sum(block in self._idle for block in known):
            return None
        for block in known:
            self._idle.pop(block, None)
            self._holders[block] += 1
        new = [self._take() for _ in range(n_new)]
        return Lease(
            blocks=[*known, *new],
            n_known=len(known) * self.block_tokens,
            serials=[self._serials[block] for block in known],
        )

    def remember(self, lease: Lease, tokens: Sequence[int]) -> None:
        """The keys and values of `tokens` are in the lease's blocks now: full ones can be taken over from here on."""
        for index in range(len(lease.serials), len(tokens) // self.block_tokens):
            before = lease.serials[-1] if lease.serials else 0
            key = (before, tuple(tokens[index * self.block_tokens : (index + 1) * self.block_tokens]))
            block = self._known.get(key)
            if block is None:
                block = lease.blocks[index]
                self._last_serial += 1
                self._serials[block] = self._last_serial
                self._keys[block] = key
                self._known[key] = block
            lease.serials.append(self._serials[block])

    def release(self, lease: Lease) -> None:
        """Give the blocks back; what they hold stays known until their place is needed."""
        for block in reversed(lease.blocks):  # the end of a text is forgotten before its beginning
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            if self._keys[block] is None:
                self._unused.append(block)
            else:
                self._idle[block] = None
        lease.blocks = []

    def _beginning(self, tokens: Sequence[int]) -> list[int]:
        found: list[int] = []
        serial = 0
        for end in range(self.block_tokens, len(tokens), self.block_tokens):
            block = self._known.get((serial, tuple(tokens[end - self.block_tokens : end])))
            if block is None:
                break
            found.append(block)
            serial = self._serials[block]
        return found

    def _take(self) -> int:
        if self._unused:
            block = self._unused.pop()
        else:
            block, _ = self._idle.popitem(last=False)
            key = self._keys[block]
            if key is not None:
                del self._known[key]
            self._keys[block] = None
        self._holders[block] = 1
        return block
