"""The server worker: ``python -m daemon.workers.server``. Torch is imported after the hello, as in every worker."""

import os
import sys

from daemon.process_exit import leave
from daemon.workers import runtime

SWITCH_SECONDS = 0.0005
"""How long a Python thread keeps the interpreter while another waits: the engine must not wait long for HTTP."""


def main() -> None:
    """Serve until asked to stop, or until the supervisor is gone."""
    # MKL then adds up in one order on every thread (it costs nothing measurable), so that a row's numbers do not depend
    # on its place in the batch. Read by MKL at its first call.
    os.environ.setdefault("MKL_CBWR", "AUTO")
    context = runtime.start()
    context.channel.advance("loading torch")
    with runtime.loading():
        import torch

        from daemon.workers.server import serving
        from engine import device

    context.channel.idle()
    sys.setswitchinterval(SWITCH_SECONDS)
    torch.set_num_threads(context.settings.inference.threads or device.physical_cores())
    serving.run(context)
    leave()  # every answer is sent; a version half loaded in the other thread need not be waited for


if __name__ == "__main__":
    main()
