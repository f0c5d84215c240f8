"""The commands of thorctl, and the module that declares each: a new one costs that module and one line here.

A module has a function ``add(commands)``, which declares its commands with `control.cli.parser.Commands.add`. Only the
modules of the commands on the command line are imported, so that thorctl starts at once.
"""

COMMANDS: dict[str, tuple[str, ...]] = {
    "control.commands.service.lifecycle": ("start", "stop", "restart", "reload"),
    "control.commands.service.status": ("status",),
    "control.commands.learning.cycles": ("train", "cycles", "cycle", "cancel", "pause", "resume"),
    "control.commands.jobs.jobs": ("jobs", "job"),
    "control.commands.learning.evaluate": ("evaluate",),
    "control.commands.versions.versions": ("versions", "version", "promote", "rollback"),
    "control.commands.versions.report": ("report",),
    "control.commands.versions.imports": ("import",),
    "control.commands.versions.exports": ("export",),
    "control.commands.versions.fold": ("fold",),
    "control.commands.versions.push": ("push",),
    "control.commands.learning.tokenizer": ("tokenizer",),
    "control.commands.model.generation": ("generate", "chat", "score"),
    "control.commands.model.predict": ("predict",),
    "control.commands.model.metrics": ("metrics",),
    "control.commands.model.inspect": ("inspect",),
    "control.commands.model.bench": ("bench",),
    "control.commands.versions.retention": ("clean", "pin", "unpin"),
    "control.commands.learning.ingest": ("ingest",),
    "control.commands.learning.data": ("data", "quarantine"),
    "control.commands.service.watch": ("logs", "events", "top"),
    "control.commands.setup.init": ("init",),
    "control.commands.setup.config": ("config",),
    "control.commands.setup.doctor": ("doctor",),
    "control.commands.setup.install_service": ("install-service",),
    "control.commands.setup.completion": ("completion",),
}
"""In the order of ``thorctl --help``."""
