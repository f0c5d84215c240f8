"""Files of programs that write a line for each message: a module for each, with its lines. Sources are named there."""
