"""Prefetching: the same items, errors where they are read, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from colorcli.video.prefetch import CAPACITY, Prefetch


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_come_out_in_order() -> None:
    with Prefetch(range(1000)) as items:
        assert list(items) == list(range(1000))


def test_it_is_no_more_than_its_capacity_ahead() -> None:
    made = []
    with Prefetch(made.append(n) or n for n in range(100)) as items:  # type: ignore[func-returns-value]
        for read, _ in enumerate(items, 1):
            assert len(made) <= read + CAPACITY + 1


def test_an_error_comes_out_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    with Prefetch(broken()) as items:
        assert [next(items) for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                next(items)


@pytest.mark.parametrize("read", [0, 1, 5])
def test_leaving_early_closes_the_generator_before_what_it_reads(read: int) -> None:
    is_open = True

    def endless() -> Iterator[int]:
        try:
            while True:
                assert is_open
                yield 1
        finally:
            assert is_open

    with Prefetch(endless()) as items:
        for _ in range(read):
            next(items)
    is_open = False


def test_chained_stages_end_when_the_last_one_fails() -> None:
    def failing(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            if item == 10:
                raise ValueError("broken")
            yield item

    for _ in range(50):
        with (
            pytest.raises(ValueError, match="broken"),
            Prefetch(iter(range(1000))) as first,
            Prefetch(failing(first)) as second,
        ):
            list(second)
