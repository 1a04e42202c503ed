"""How processes find each other, and how those that wait notice the end of others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from charrnn_cli.errors import ProcessLostError
from charrnn_cli.training.launch import Launch
from charrnn_cli.training.meeting import meet
from charrnn_cli.training.process_board import FirstEnded, ProcessBoard
from tests.helpers import TIMEOUT


def launch(rank: int, size: int = 2, timeout: float = TIMEOUT) -> Launch:
    return Launch(rank, size, rank, size, timeout)


def board(store: Any, rank: int, timeout: float = TIMEOUT, signum: int | None = None) -> Any:
    return ProcessBoard(store, launch(rank, timeout=timeout), lambda: signum, lambda _: None)


def test_processes_meet_in_a_store_that_was_used_before() -> None:
    """Processes that are started again agree on a new name, whatever earlier ones left."""
    store, names = HashStore(), set[str]()
    store.set("word/1", "of a process that was killed before it met others")
    for _ in range(3):
        with ThreadPoolExecutor(3) as threads:
            met = [threads.submit(meet, store, launch(rank, 3)) for rank in range(3)]
            found = {each.result(TIMEOUT) for each in met}
        assert len(found) == 1
        names |= found
    assert len(names) == 3


def test_a_process_does_not_wait_for_ever_for_others() -> None:
    """A meeting to which another process does not come ends."""
    with pytest.raises(TimeoutError):
        meet(HashStore(), launch(0, timeout=0.1))


def test_messages_arrive_in_order() -> None:
    """The others read each message of the first process once."""
    store = HashStore()
    first, other = board(store, 0), board(store, 1)
    for number in range(3):
        first.post({"number": number})
    assert [other.read()["number"] for _ in range(3)] == [0, 1, 2]


def test_others_wait_as_long_as_the_first_process_lives() -> None:
    """Without signs of life, waiting ends with an error; with them, it goes on."""
    store, ended = HashStore(), threading.Event()
    first, other = board(store, 0), board(store, 1, timeout=1.0)
    with ThreadPoolExecutor(2) as threads:
        threads.submit(first.beat_until, ended)
        message = threads.submit(other.read)
        with pytest.raises(TimeoutError):
            message.result(2.0)
        first.post({"late": True})
        assert message.result(TIMEOUT) == {"late": True}
        ended.set()
    with pytest.raises(ProcessLostError):
        other.read()


def test_the_first_process_says_how_it_ends() -> None:
    """Whatever the others wait for, they learn the exit code of the first process."""
    store = HashStore()
    first, other = board(store, 0), board(store, 1)
    with ThreadPoolExecutor(1) as threads:
        ending = threads.submit(first.end, 3, is_lost=False)
        with pytest.raises(FirstEnded, match="code 3"):
            other.wait_for_turn()
        assert other.wait_for_end() == 3
        other.leave()
        ending.result(TIMEOUT)


def test_the_first_process_hears_of_a_signal() -> None:
    """A signal that another process has received reaches the first one."""
    store, heard = HashStore(), list[int]()
    first = ProcessBoard(store, launch(0), lambda: None, heard.append)
    first.hear_stop()
    assert heard == []
    board(store, 1, signum=15).tell_stop()
    first.hear_stop()
    assert heard == [15]
