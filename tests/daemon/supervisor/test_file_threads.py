"""The supervisor's threads for files are all there from the start, and never more."""

import asyncio
import threading

import pytest

from daemon.supervisor import file_threads


@pytest.mark.anyio
async def test_calls_one_after_the_other_begin_no_thread() -> None:
    asyncio.get_running_loop().set_default_executor(file_threads.begin())
    before = threading.active_count()
    for _ in range(5000):  # asyncio's own threads become more within some hundred
        await asyncio.to_thread(int)
    assert threading.active_count() == before
