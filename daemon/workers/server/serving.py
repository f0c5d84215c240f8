"""Puts the server together: HTTP in the main thread, the engine and swaps each in a thread beside it."""

import asyncio
import logging
import os
import resource
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable

from daemon import background, log, time_slice
from daemon.messages import ChatsForgotten, Failure, ForgetChats, ServiceHealth
from daemon.workers.runtime import Context
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.answers import Dispatcher
from daemon.workers.server.api import app
from daemon.workers.server.api.fine_tuning.jobs import FineTuningJobs
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.chats import forgetting
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.files.file_store import FileStore
from daemon.workers.server.guests import Guests
from daemon.workers.server.http_server import ApiServer
from daemon.workers.server.loading import VersionLoader
from daemon.workers.server.metrics import Metrics
from daemon.workers.server.runs.port import ControlJobs
from daemon.workers.server.service import InferenceService
from daemon.workers.server.supervisor_port import ControlSocket
from daemon.workers.server.swap import Swapper
from daemon.workers.server.work_port import WorkPort
from engine import device
from engine.inference.engine import Engine
from engine.inference.versions.slots import WeightSlots

_logger = log.get(__name__)


def run(context: Context) -> None:
    """Serve until asked to stop."""
    _allow_all_descriptors()
    asyncio.run(_serve(context))


def _allow_all_descriptors() -> None:
    """Raise the soft limit, often 1024, to the hard one: every connection is a descriptor, and clients that say nothing
    would soon hold all of them, so that nobody else could come in and no version could be read.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(context: Context) -> None:
    settings = context.settings
    loop = asyncio.get_running_loop()
    metrics = Metrics()
    try:
        placement = device.resolve(settings.inference.device, settings.inference.precision)
    except device.ImpossiblePlacementError as error:
        _logger.critical("inference.device and inference.precision do not fit this machine", reason=str(error))
        sys.exit(1)
    inference = settings.inference
    slots = WeightSlots(inference.drain_seconds, inference.memory_megabytes << 20, inference.resident_versions)
    engine = Engine(slots, Dispatcher(loop, context.channel), settings.inference.max_queue)
    slots.on_settled = engine.wake
    metrics.watch(lambda: engine.waiting, lambda: engine.running)
    chats = ChatDatabase(context.paths.chats)
    listening = [socket.socket(fileno=descriptor) for descriptor in context.api_descriptors]
    addresses = [str(each.getsockname()[0]) for each in listening if each.family != socket.AF_UNIX]
    access = AccessPolicy(settings.api, context.paths.api_key_file, addresses)
    service = InferenceService(settings, slots, engine, metrics, chats, context.paths.served, access)
    service.version_folder = context.paths.version
    uploads = FileChecker(FileStore(context.paths.files, lambda: service.settings.files), lambda: service.settings)
    jobs = ControlJobs(context.paths)
    tuning = FineTuningJobs(jobs, uploads.store, context.paths.job_run)
    loader = VersionLoader(context, slots, placement, metrics)
    guests = Guests(slots, loader, lambda: service.settings.inference.unload_seconds)
    service.visit = guests.visit
    runs = Runs(service, jobs, guests, uploads.store, context.paths)
    made = app.make(service, ControlSocket(context.paths), uploads, tuning, WorkPort(context.paths), runs)
    server = ApiServer(made)

    def stop() -> None:
        service.stopping.set()
        service.decided.set()
        runs.logs.close()
        server.stop(context.channel.grace_seconds)

    def in_loop(call: Callable[[], None]) -> Callable[[], None]:
        def from_any_thread() -> None:
            loop.call_soon_threadsafe(call)

        return from_any_thread

    def explain(reason: str) -> None:
        service.unready = reason

    def note_health(health: ServiceHealth) -> None:
        service.health = health

    def forget(command: ForgetChats) -> ChatsForgotten | Failure:
        async def erase() -> ChatsForgotten:
            forgotten = await forgetting.forget(command, chats, context.paths.ledger)
            if command.owner is not None:
                await uploads.store.forget(command.owner)
            return forgotten

        try:
            return asyncio.run_coroutine_threadsafe(erase(), loop).result()
        except (ApiError, sqlite3.Error) as error:
            return Failure(to=command.id, reason=f"chats cannot be erased now: {error}", retry=True)

    swapper = Swapper(
        context,
        slots,
        loader,
        metrics,
        on_unready=explain,
        on_decided=in_loop(service.decided.set),
        on_reload=in_loop(lambda: service.apply(context.reread_settings())),
        on_forget=forget,
        is_idle=lambda: not (engine.waiting or engine.running),
    )
    slots.on_gone = in_loop(swapper.say_what_serves)
    context.channel.on_stop(in_loop(stop))
    context.channel.on_health(note_health)
    context.channel.on_answers_queued(in_loop(runs.runner.look))
    if context.channel.stopping.is_set():
        return

    def answer() -> None:
        time_slice.take(time_slice.SHORTEST)
        engine.run()

    threading.Thread(target=_or_exit, args=(answer,), name="engine", daemon=True).start()
    threading.Thread(target=_or_exit, args=(swapper.run,), name="swap", daemon=True).start()
    time_slice.take(time_slice.SHORTEST)  # not of the swap's, which is in no hurry
    learning = asyncio.create_task(service.conversation_log.run())
    working = background.begin(_run_when_decided(service, runs), "jobs")
    await uploads.begin()
    await server.serve(sockets=listening)
    learning.cancel()
    working.cancel()
    engine.stop()
    loader.close()


async def _run_when_decided(service: InferenceService, runs: Runs) -> None:
    """Carry out jobs once it is known what serves: that is loaded first."""
    await service.decided.wait()
    await runs.runner.run()


def _or_exit(run: Callable[[], None]) -> None:
    """End the process if a thread fails: the supervisor starts a new server."""
    try:
        run()
    except Exception:
        _logger.critical("a thread of the server failed", exc_info=True)
        logging.shutdown()
        os._exit(1)
