"""Whether the public API is open to other machines without a key."""

import ipaddress

from daemon.settings.sections import ApiSettings


def fault(api: ApiSettings, origin: str, *, has_keys: bool) -> str | None:
    """What is wrong with an API that listens beyond this machine, where no key is asked for; null if it is closed.

    Args:
        api: ``[api]``.
        origin: the place that set ``api.host``.
        has_keys: keys are given besides those of ``api.keys_file``.
    """
    if has_keys or api.keys_file or _is_of_this_machine(api.host):
        return None
    return (
        f"{origin}: api.host = {api.host!r}: APP_ENV is prod, and the API would be open to other machines without a "
        "key: set SECURITY__API_KEY or api.keys_file"
    )


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
