"""The conversations of every cycle that ended get their final state."""

import pytest

from control.paths import Paths
from daemon.messages import Settle
from tests.daemon.supervisor.stand_ins import StandIns, learning, settled, with_conversations


@pytest.mark.anyio
async def test_settling_is_sent_again_after_a_restart_until_it_is_answered(paths: Paths) -> None:
    async def first_life() -> None:
        workers = with_conversations(paths)
        async with learning(workers) as it:
            cycle = await it.cycles.trigger("api")
            async for line in it.cycles.follow(cycle.id):
                told = line.get("progress")
                if isinstance(told, dict) and told["state"] == "training":
                    workers.script.intake_up = False
            assert workers.ledger.assigned == 5

    async def second_life() -> None:
        workers = StandIns(paths)
        async with learning(workers) as it:
            await settled(it)
        assert workers.ledger.learned == [[1]] * 5
        assert sum(isinstance(message, Settle) for message in workers.log) == 1

    await first_life()
    await second_life()
