"""Setting thord up: its settings file, its systemd unit, the folders it watches."""
