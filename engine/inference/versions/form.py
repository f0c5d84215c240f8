"""Whether an adapter is merged into its base while it is loaded, or computed beside a base that versions share.

| `inference.adapters` | memory holds two merged versions | products of the family take an adapter | form     |
| -------------------- | -------------------------------- | -------------------------------------- | -------- |
| any                  | any                              | no                                     | merged   |
| merged               | any                              | any                                    | merged   |
| unmerged             | any                              | yes                                    | unmerged |
| auto                 | yes                              | yes                                    | merged   |
| auto                 | no                               | yes                                    | unmerged |

Merged, a version answers as fast as a whole one, and the next takes as much memory beside it. Unmerged, each token
reads the adapter too, and the next version takes megabytes. Sums are rounded differently in the two, so that a version
keeps the form that it was first loaded in.
"""

from engine.config.inference import AdapterForm, Form


def of_adapter(needed: int, capacity: int, wanted: AdapterForm, *, adapts: bool) -> Form:
    """The form of a version.

    Args:
        needed: bytes that it takes merged.
        capacity: bytes that versions may take in all.
        wanted: what the settings ask for.
        adapts: whether its family can be computed with an adapter beside it here.
    """
    if not adapts or wanted == "merged":
        return "merged"
    return "unmerged" if wanted == "unmerged" or 2 * needed > capacity else "merged"
