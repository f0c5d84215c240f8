"""Kernels compiled under ASan and UBSan, apart from the others; as a plugin of pytest, the only ones that tests find.

``make sanitize`` uses it for both. `variants.FORCED` names another variant than avx2.
"""

import os
from pathlib import Path

import pytest

from engine.native import build, library, variants

CHECKS = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""Added to the compiler's options; with ``-O2`` and ``-g`` a build takes minutes."""
NAME = os.environ.setdefault(variants.FORCED, "avx2")

_patch = pytest.MonkeyPatch()
_patch.setattr(library, "FOLDER", Path("build/sanitized").absolute())
_patch.setattr(library, "OPTIONS", (*library.OPTIONS, *CHECKS))
_patch.setattr(variants, "VARIANTS", tuple(each for each in variants.VARIANTS if each.name == NAME))

if __name__ == "__main__":
    library.FOLDER.mkdir(parents=True, exist_ok=True)
    print(build.build())
