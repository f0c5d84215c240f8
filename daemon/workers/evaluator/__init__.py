"""The evaluator: judges one version at a time and writes what it found into the version's folder."""
