"""The evaluator's process. Torch is imported after the hello, when it is already tied to its supervisor."""

from daemon import log
from daemon.messages import Evaluate, Reload
from daemon.workers import runtime

_logger = log.get(__name__)


def main() -> None:
    """Answer commands until asked to stop."""
    context = runtime.start()
    channel, settings = context.channel, context.settings
    channel.advance("loading torch")
    with runtime.loading():
        from daemon.workers.evaluator.evaluations import Evaluator, Stopped

    channel.idle()
    channel.ready()
    while not channel.stopping.is_set():
        command = channel.commands.get()
        if isinstance(command, Evaluate):
            try:
                Evaluator(context.paths, channel, settings).carry_out(command)
            except Stopped:
                _logger.info("evaluation given up, thord asked for it")
            channel.idle()
        elif isinstance(command, Reload):
            settings = context.reread_settings()


if __name__ == "__main__":
    main()
