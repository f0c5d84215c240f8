"""What holds for every test."""

import os

from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is. In CI the same examples each time: a submission
# is judged by what it changed. Elsewhere new ones are looked for.
settings.register_profile("thord", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("thord")
