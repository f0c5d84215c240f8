"""How good a version is, and whether it may serve: likelihood, baseline, bootstrap, gate, sample answers."""
