import pytest
from sqlalchemy import select

from rag.catalog.models import ApiKeyRow
from rag.errors import InvalidInputError, NotFoundError


def test_a_key_lets_in_until_it_is_revoked(bench) -> None:
    keys = bench.catalog.keys
    assert not keys.any_active() and keys.list() == ()
    first_id, first = keys.add("laptop", bench.now)
    second_id, second = keys.add("laptop", bench.now)
    assert first != second and len(first) > 40
    key = keys.verify(first)
    assert key is not None and (key.key_id, key.name, key.revoked_at) == (first_id, "laptop", None)
    keys.revoke(first_id, bench.now)
    assert keys.verify(first) is None and keys.verify(second) is not None
    revoked_at = keys.list()[0].revoked_at
    keys.revoke(first_id, bench.now)
    assert keys.list()[0].revoked_at == revoked_at is not None
    keys.revoke(second_id, bench.now)
    assert not keys.any_active()
    assert [key.key_id for key in keys.list()] == [first_id, second_id]


@pytest.mark.parametrize("wrong", ["", "cb_", "x" * 10_000, "\ud800", "é"])
def test_anything_else_does_not(bench, wrong: str) -> None:
    _, plain = bench.catalog.keys.add("a", bench.now)
    for value in (wrong, plain[:-1], plain + "x", plain.upper()):
        assert bench.catalog.keys.verify(value) is None


def test_the_key_itself_is_stored_nowhere(bench) -> None:
    _, plain = bench.catalog.keys.add("a", bench.now)
    with bench.catalog.database.read() as session:
        row = session.scalars(select(ApiKeyRow)).one()
        assert plain.encode() not in row.token_sha256 and len(row.token_sha256) == 32


def test_names_and_ids_are_checked(bench) -> None:
    for name in ("", "  ", "x" * 201):
        with pytest.raises(InvalidInputError):
            bench.catalog.keys.add(name, bench.now)
    with pytest.raises(NotFoundError):
        bench.catalog.keys.revoke("key_none", bench.now)
