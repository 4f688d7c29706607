"""Who finds a thread: by how many wait, and for how long the last one did."""

import threading
from concurrent.futures import ThreadPoolExecutor

from service.overload import LONGEST_WAIT_S, Doorkeeper

HEAD = b"POST /classify HTTP/1.1\r\n"


def test_a_long_wait_is_held_against_nobody_once_nothing_waits() -> None:
    door, held = Doorkeeper(64), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(held.wait)
        pool.submit(held.wait)  # waits for the thread
        door.taken(LONGEST_WAIT_S)
        assert door.room(pool, HEAD) is None
        held.set()
    with ThreadPoolExecutor(1) as pool:
        held.clear()
        pool.submit(held.wait)
        assert door.room(pool, HEAD) is pool, "nothing waits"
        pool.submit(held.wait)
        assert door.room(pool, HEAD) is pool, "the next comes while the first has no thread yet"
        held.set()


def test_no_more_wait_than_may() -> None:
    door, held = Doorkeeper(2), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            assert door.room(pool, HEAD) is pool
            pool.submit(held.wait)
        assert door.room(pool, HEAD) is None
        held.set()
