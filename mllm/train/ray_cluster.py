"""How we come to a Ray cluster: whether Ray is installed, and the connection.

In: an address. Out: nothing, or one sentence about what is missing. Knows nothing of what is computed there.
"""

from __future__ import annotations

import os
from typing import Any

from mllm.errors import ConfigError

THIS_MACHINE = "local"
"""The address at which Ray is started for the run, and ended with it."""
OBJECT_BYTES = 2**27
"""Memory of a Ray that is started here, for what travels: names of recordings, and recordings given as bytes."""


def check_installed(needed_by: str) -> None:
    """Look whether Ray Data can be imported.

    Args:
        needed_by: begins the sentence, such as "--ray needs".

    Raises:
        ConfigError: it cannot.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        option = needed_by.split()[0]
        raise ConfigError(
            f"{needed_by} Ray Data, which is not installed: pip install 'mllm-music[ray]', or leave {option} out"
        ) from error


def connect(address: str, workers: int) -> None:
    """Join a cluster, or start one.

    Args:
        address: host:port, "auto" for the cluster that this machine belongs to, or `THIS_MACHINE`.
        workers: of a cluster that is started: so many may work at once.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    import ray

    settings: dict[str, Any] = {}
    if address == THIS_MACHINE:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        settings = {
            "num_cpus": max(workers, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": OBJECT_BYTES,
        }
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **settings)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            f"there is no Ray cluster at {address!r}; give host:port of a cluster that runs, 'auto' on one of its "
            f"machines, or {THIS_MACHINE!r}"
        ) from error
