"""The blocks of the cache: what is taken over, what is forgotten, what is never handed out twice."""

from hypothesis import given
from hypothesis import strategies as st

from llm.engines.paged_cache import BlockPool, Lease


def held(pool: BlockPool, tokens: list[int], n_more: int = 0) -> Lease:
    lease = pool.reserve(tokens, len(tokens) + n_more)
    assert lease is not None
    pool.remember(lease, tokens)
    return lease


def test_a_prompt_that_begins_alike_takes_over_full_blocks_and_reads_its_last_token() -> None:
    pool = BlockPool(8, 4)
    first = held(pool, list(range(10)))
    again = pool.reserve(list(range(10)), 10)
    assert again is not None
    assert again.n_known == 8
    assert again.blocks[:2] == first.blocks[:2]
    assert again.blocks[2] != first.blocks[2]
    whole = pool.reserve(list(range(8)), 8)
    assert whole is not None
    assert whole.n_known == 4  # not 8: the last token is read again for its logits


def test_equal_blocks_after_another_beginning_are_not_taken_over() -> None:
    pool = BlockPool(8, 2)
    held(pool, [1, 1, 5, 6, 9])
    other = pool.reserve([2, 2, 5, 6, 9], 5)
    assert other is not None
    assert other.n_known == 0


def test_what_was_released_stays_known_until_its_place_is_needed_the_longest_unused_first() -> None:
    pool = BlockPool(4, 2)
    pool.release(held(pool, [1, 2, 3]))
    pool.release(held(pool, [7, 8, 9]))
    assert pool.n_free == 4
    lease = pool.reserve([7, 8, 0], 6)
    assert lease is not None
    assert lease.n_known == 2
    pool.release(lease)
    full = pool.reserve([50, 51, 52, 53, 54, 55], 6)  # three of four: what is left is the one used last
    assert full is not None
    assert len(set(full.blocks)) == 3
    pool.release(full)
    assert pool.reserve([7, 8, 0], 3).n_known == 2  # type: ignore[union-attr]
    assert pool.reserve([1, 2, 0], 3).n_known == 0  # type: ignore[union-attr]


def test_there_is_no_lease_beyond_what_is_free() -> None:
    pool = BlockPool(3, 2)
    first = pool.reserve([1, 2, 3], 4)
    assert first is not None
    assert pool.reserve([9, 9, 9], 4) is None
    assert pool.n_free == 1
    pool.release(first)
    assert pool.reserve([9, 9, 9], 6) is not None


texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=12)


@given(texts, st.data())
def test_no_block_is_written_by_two_sequences(prompts: list[list[int]], data: st.DataObject) -> None:
    pool = BlockPool(6, 2)
    leases: list[tuple[Lease, list[int]]] = []
    content: dict[int, tuple[int, ...]] = {}  # block → all tokens up to its end, as the model wrote them
    for prompt in prompts:
        while leases and data.draw(st.booleans()):
            pool.release(leases.pop(data.draw(st.integers(0, len(leases) - 1)))[0])
        lease = pool.reserve(prompt, len(prompt))
        if lease is None:
            continue
        for index, block in enumerate(lease.blocks):
            end = (index + 1) * 2
            if end <= lease.n_known:
                assert content[block] == tuple(prompt[:end])
            else:
                assert all(block not in other.blocks for other, _ in leases)
                content[block] = tuple(prompt[:end])
        pool.remember(lease, prompt)
        leases.append((lease, prompt))
    for lease, prompt in leases:
        for index in range(len(prompt) // 2):
            assert content[lease.blocks[index]] == tuple(prompt[: (index + 1) * 2])
