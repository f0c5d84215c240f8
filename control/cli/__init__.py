"""How thorctl reads its command line and runs a command; the commands are in `control.commands`."""
