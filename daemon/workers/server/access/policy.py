"""Who may use the API over TCP, as the settings say now: the server's names, the pages it trusts, and its keys.

The Unix socket is guarded by the permissions of its file instead.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from daemon.api_keys import Keys, KeysFileError, Scope, keys_files
from daemon.settings.sections import ApiSettings
from daemon.workers.server.access.hosts import Hosts


class AccessPolicy:
    """The rules of one server. `apply` replaces them while it runs.

    Attributes:
        hosts: the names that the server is reached by.
        origins: pages of these origins may use the API; fixed for the life of the server.
        keys: None while the file of keys cannot be read: then nobody is let in.
        keys_error: why it cannot be read.
        anonymous: what callers may do where no keys are configured.
    """

    def __init__(self, settings: ApiSettings, api_key_file: Path, addresses: Sequence[str] = ()) -> None:
        """``api_key_file`` is of `Paths`; ``addresses`` are those that the server listens on."""
        self._api_key_file = api_key_file
        self._addresses = addresses
        self.origins = settings.allow_origins
        self.keys: Keys | None = None
        self.keys_error = ""
        self.apply(settings)

    def apply(self, settings: ApiSettings) -> None:
        """Read the file of keys again, and take over the names of hosts."""
        self.anonymous: frozenset[Scope] = frozenset(settings.anonymous_scopes)
        self.hosts = Hosts(self._addresses, [settings.host, *settings.hosts])
        try:
            files = keys_files(settings.keys_file, os.environ, self._api_key_file)
            self.keys, self.keys_error = Keys(files), ""
        except KeysFileError as error:
            self.keys, self.keys_error = None, str(error)
