"""thord as it is on this machine: its process, its systemd unit, its logs."""
