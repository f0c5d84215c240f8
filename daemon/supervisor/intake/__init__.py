"""What the supervisor asks of the intake, and reads from its database."""
