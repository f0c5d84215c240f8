"""Whether an adapter is merged into its base while it is loaded, or computed beside a base that versions share.

| memory holds two merged versions | products of the family take an adapter | form     |
| -------------------------------- | -------------------------------------- | -------- |
| yes                              | any                                    | merged   |
| no                               | yes                                    | unmerged |
| no                               | no                                     | merged   |

Merged, a version answers as fast as a whole one, and the next takes as much memory beside it. Unmerged, each token
reads the adapter too, and the next version takes megabytes. Sums are rounded differently in the two, so that a version
keeps the form that it was first loaded in.
"""

from typing import Literal

Form = Literal["whole", "merged", "unmerged"]
"""Of a version in memory; ``whole``: it has weights of its own."""


def of_adapter(needed: int, capacity: int, *, adapts: bool) -> Form:
    """The form of a version.

    Args:
        needed: bytes that it takes merged.
        capacity: bytes that versions may take in all.
        adapts: whether its family can be computed with an adapter beside it here.
    """
    return "unmerged" if adapts and 2 * needed > capacity else "merged"
