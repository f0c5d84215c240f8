"""The threads in which the supervisor reads and writes files, away from its loop.

asyncio's own begin one by one: a call that comes before the thread of the last one has said that it is idle begins
another, so the number of threads creeps up over days although no two calls were made at once. Here all are there from
the start: a number that grows means a leak.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

_THREADS = 2
"""One may read the weights of a version for seconds to verify them; the settings are read in the other."""


def begin() -> ThreadPoolExecutor:
    """Begin the threads; returns when all are there."""
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
    together = Barrier(_THREADS)
    for begun in [threads.submit(together.wait) for _ in range(_THREADS)]:
        begun.result()
    return threads
