"""The trainer, and its ranks and hosts where a run is distributed."""
