"""What chat programs that people run themselves keep and export: a module for each. Sources are named there."""
