"""What a server may be told: whose items it knows, whom it fetches from, how much it takes, how long it waits.

In: the options of `mllm serve`. Out: one immutable object, which travels to the server's processes in an environment
variable. Knows no HTTP and no vLLM, so that the command line can show the defaults without loading either.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Self

from mllm.errors import ConfigError

VARIABLE = "MLLM_SERVE_SETTINGS"
"""Environment variable that holds the settings as JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """The limits of a server, for each of its API processes."""

    catalog: str | None = None
    """Directory of the catalogue whose items conversations may name; None for no items."""
    allowed_audio_hosts: tuple[str, ...] = ()
    """Hosts that recordings are fetched from, as `name` (ports 80 and 443) or `name:port`; none by default."""
    max_upload_mib: int = 64
    """Largest body of a request, and largest recording fetched, in MiB."""
    max_held_mib: int = 512
    """Bodies held in memory at once, in MiB; a request beyond that is told to come back later."""
    max_audio_minutes: float = 120.0
    """Longest recording, in minutes."""
    max_channels: int = 8
    """Most channels of a recording."""
    max_audios: int = 8
    """Most recordings in one request."""
    max_items: int = 64
    """Most catalogue items in one request."""
    max_requests: int = 256
    """Requests that are answered or wait at once; one more is told to come back later."""
    upload_seconds: float = 60.0
    """Until the whole request must have arrived."""
    fetch_seconds: float = 30.0
    """Until a recording must have been fetched."""
    decode_seconds: float = 30.0
    """Until a recording must have been decoded."""
    request_seconds: float = 300.0
    """Until a request must have been answered."""
    decode_workers: int = 2
    """Processes that decode."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value <= 0:
                raise ConfigError(f"{field.name} is {value:g}; expected more than 0")
        for host in self.allowed_audio_hosts:
            name, _, port = host.partition(":")
            if not name or "/" in host or (port and not port.isdecimal()):
                raise ConfigError(f"the audio host {host!r} is no host; expected name or name:port, without http://")

    @property
    def max_upload_bytes(self) -> int:
        """Largest body of a request, in bytes."""
        return self.max_upload_mib * 2**20

    @property
    def max_held_bytes(self) -> int:
        """Bodies held in memory at once, in bytes."""
        return self.max_held_mib * 2**20

    def to_environment(self) -> dict[str, str]:
        """The variable to set for the server."""
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """What the variable holds; the defaults where it is not set."""
        fields = json.loads(environment.get(VARIABLE, "{}"))
        fields["allowed_audio_hosts"] = tuple(fields.get("allowed_audio_hosts", ()))
        return cls(**fields)
