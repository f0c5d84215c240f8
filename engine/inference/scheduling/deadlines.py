"""What becomes of a request whose time is over, or whose version's is: a pure table. Torch is not needed.

| the request                          | its version                          | then                   |
| ------------------------------------ | ------------------------------------ | ---------------------- |
| is beyond its own deadline           | any, or none yet                     | fails (timeout)        |
| waits for a version                  | none serves, and none is on its way  | fails (version_gone)   |
| sent nothing, and pins no version    | was replaced and has drained         | begins anew on another |
| has sent something, or pins it       | was replaced and has drained         | fails (drained)        |
| any other                            | any other                            | goes on                |

No answer is continued by another version than the one that began it.
"""

from collections.abc import Collection
from typing import Literal

from engine.inference.requests import Failed, Request
from engine.manifest import version_name

Disposition = Literal["go on", "begin anew"] | Failed


def disposition(request: Request, now: float, drained: Collection[int], *, hopeless: bool) -> Disposition:
    """What to do with a live request.

    Args:
        request: bound or still waiting.
        now: as `time.monotonic` counts.
        drained: versions that were replaced, and whose requests have had their time to finish.
        hopeless: no version serves, and none is on its way.
    """
    if now > request.deadline:
        return Failed("timeout", "the answer took longer than a request may take")
    if request.version is None:
        return Failed("version_gone", "no version could be loaded") if hopeless else "go on"
    if request.version not in drained:
        return "go on"
    if request.sent or request.pin is not None:
        return Failed("drained", f"version {version_name(request.version)} was replaced and its time to finish is over")
    return "begin anew"
