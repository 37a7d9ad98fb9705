"""Workers that crash, hang or exit are replaced, and all other items are done."""

import pytest
from support.workers import echo, unreliable

from colorcli.jobs.process_pool import Died, Pool


def no_arguments(_: int) -> tuple[()]:
    return ()


def answers(pool: Pool[str], items: list[str], patience: float = 60) -> dict[str, list[object]]:
    received: dict[str, list[object]] = {item: [] for item in items}
    waiting = list(items)
    while waiting or pool.busy:
        while waiting and pool.has_room():
            item = waiting.pop(0)
            pool.submit(item, item, patience)
        for item, message in pool.messages(0.1):
            received[item].append(message)
            if isinstance(message, tuple) and message[0] == "done":
                pool.finish(item)
    return received


def test_every_item_is_answered() -> None:
    items = [f"item {number}" for number in range(20)]
    with Pool[str](2, echo, no_arguments) as pool:
        received = answers(pool, items)
    for item in items:
        assert [message for message in received[item] if message != "ready"] == [
            ("working", item),
            ("done", item),
        ]


@pytest.mark.parametrize(
    ("item", "reason"), [("crash", "SIGSEGV"), ("leave", "exit code 3"), ("hang", "no message")]
)
def test_one_bad_item_costs_only_itself(item: str, reason: str) -> None:
    items = ["a", "b", item, "c", "d", "e"]
    with Pool[str](2, unreliable, no_arguments) as pool:
        received = answers(pool, items, patience=1.0)
    (death,) = [message for message in received[item] if isinstance(message, Died)]
    assert reason in death.reason
    assert all(("done", good) in received[good] for good in items if good != item)


def test_exit_ends_workers_that_hang() -> None:
    with Pool[str](1, unreliable, no_arguments) as pool:
        pool.submit("hang", "hang", 3600)
        list(pool.messages(5))
        (worker,) = pool._workers
    assert not worker.process.is_alive()
