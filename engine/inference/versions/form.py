"""Whether an adapter is merged into its base while it is loaded, or computed beside a base that versions share.

| `inference.adapters` | base is quantized | memory holds two merged versions | products take an adapter | form     |
| -------------------- | ----------------- | -------------------------------- | ------------------------ | -------- |
| any                  | any               | any                              | no                       | merged   |
| merged               | any               | any                              | any                      | merged   |
| unmerged             | any               | any                              | yes                      | unmerged |
| auto                 | yes               | any                              | yes                      | unmerged |
| auto                 | no                | yes                              | yes                      | merged   |
| auto                 | no                | no                               | yes                      | unmerged |

Beside a quantized base an adapter was trained, and merged it would be rounded together with it: another model.
Merged, a version answers as fast as a whole one, and the next takes as much memory beside it. Unmerged, each token
reads the adapter too, and the next version takes megabytes. Sums are rounded differently in the two, so that a version
keeps the form that it was first loaded in.
"""

from engine.config.inference import AdapterForm, Form


def of_adapter(needed: int, capacity: int, wanted: AdapterForm, *, adapts: bool, quantized: bool = False) -> Form:
    """The form of a version.

    Args:
        needed: bytes that it takes merged.
        capacity: bytes that versions may take in all.
        wanted: what the settings ask for.
        adapts: whether its family can be computed with an adapter beside it here.
        quantized: whether its base is quantized here.
    """
    if not adapts or wanted == "merged":
        return "merged"
    return "unmerged" if wanted == "unmerged" or quantized or 2 * needed > capacity else "merged"
