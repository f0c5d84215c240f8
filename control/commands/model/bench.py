"""``bench``: how fast the running service answers on this machine, and how near that is to what memory allows."""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from control import engine_process, errors, exit_status
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect, positive
from control.terminal import output

if TYPE_CHECKING:
    from control.client import Thord
    from control.measuring_answers import Bench, BenchRow, Limit

PROMPT = "Once upon a time"
CONCURRENCY = (1, 4, 16)


class BenchOptions(Options):
    """What ``bench`` is given."""

    tokens: int
    rounds: int


def add(commands: Commands) -> None:
    """Declare the command."""
    bench = commands.add(
        "bench",
        "measure how fast the running service answers on this machine",
        _bench,
        """
        thorctl bench
        thorctl bench --tokens 128 --rounds 5
        thorctl bench --json | jq '.rows[0].tokens_per_second'
        """,
        "One, four and sixteen clients stream greedy answers at once. For each token, the machine reads all "
        "weights, which limits how fast one client can be; the last line says how close it comes. Other users slow it "
        "down.",
    )
    bench.add_argument("--tokens", type=positive, default=64, metavar="N", help="length of an answer (64)")
    bench.add_argument("--rounds", type=positive, default=3, metavar="N", help="report the median of N rounds (3)")


def _bench(options: BenchOptions) -> int:
    thord = connect(options)
    settings = json.dumps(thord.configuration()["settings"]["inference"])
    folder = version_folder(thord, None)
    _round(thord, 1, options.tokens)  # warms up
    rows = [_measured(thord, clients, options) for clients in CONCURRENCY]
    limit: Limit = json.loads(engine_process.run("engine.inference.roofline", [str(folder), settings]))
    achieved = rows[0]["tokens_per_second"] * limit["weight_bytes"]
    found: Bench = {"version": folder.name, "rows": rows, "achieved_bytes_per_second": achieved, **limit}
    if options.json:
        output.emit(found)
        return exit_status.DONE
    output.columns(
        ("CLIENTS", "TOKENS/S", "FIRST TOKEN"),
        (
            (str(row["clients"]), f"{row['tokens_per_second']:.1f}", f"{row['first_token_seconds'] * 1000:.0f} ms")
            for row in rows
        ),
    )
    output.say(
        f"version {folder.name}: {limit['weight_bytes'] / 1e6:.1f} MB of weights; for one client they are read at "
        f"{achieved / 1e9:.1f} GB/s, {achieved / limit['bytes_per_second']:.0%} of the "
        f"{limit['bytes_per_second'] / 1e9:.1f} GB/s of a plain read of memory"
    )
    return exit_status.DONE


def _measured(thord: Thord, clients: int, options: BenchOptions) -> BenchRow:
    rounds = [_round(thord, clients, options.tokens) for _ in range(options.rounds)]
    return {
        "clients": clients,
        "tokens_per_second": statistics.median(rate for rate, _ in rounds),
        "first_token_seconds": statistics.median(first for _, first in rounds),
    }


def _round(thord: Thord, clients: int, tokens: int) -> tuple[float, float]:
    """Tokens a second of all clients together, and the median of the seconds until each saw something.

    Raises:
        ThordError: an answer had no token.
    """

    def stream(number: int) -> tuple[int, float]:
        sent = time.perf_counter()
        seen: list[float] = []
        answer = thord.generate(
            f"{PROMPT} {number}", max_tokens=tokens, temperature=0, on_text=lambda _: seen.append(time.perf_counter())
        )
        usage = answer["usage"]
        return (usage["completion_tokens"] if usage else 0), (seen[0] if seen else time.perf_counter()) - sent

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(stream, range(clients)))
    taken = time.perf_counter() - began
    made = sum(count for count, _ in answers)
    if not made:
        raise errors.ThordError("the model ends every answer before its first token: there is nothing to measure")
    return made / taken, statistics.median(first for _, first in answers)
