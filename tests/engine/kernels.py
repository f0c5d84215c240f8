"""The kernels of each variant that this processor runs, so that what holds is tested of each."""

import platform

from engine.native import library, variants
from engine.native.library import Kernel
from engine.native.variants import Variant

BUILT: tuple[Variant, ...] = tuple(
    variant
    for variant in variants.usable("", platform.machine(), variants.abilities())
    if library.path(variant).is_file()
)
"""The fastest first."""
NONE = "NO KERNEL: python -m engine.native.build says why"


def of(variant: Variant) -> Kernel:
    """Its kernels."""
    return Kernel(library.path(variant))
