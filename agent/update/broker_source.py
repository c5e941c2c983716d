"""Releases from the broker, through a connection that lives no longer than it must.

It is made by `refresh` and ended by `open_target` or `close`: while a release is applied and tried,
the updater has no network and no second thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from agent.config import Config, read_password
from agent.errors import UnreachableError
from agent.paths import device_id
from agent.update.floor import Floor
from agent.update.https_fetcher import HttpsFetcher
from agent.update.mqtt_fetcher import MqttFetcher
from agent.update.release import Release
from agent.update.root_file import read_root
from agent.update.trust import Trust


class BrokerSource:
    """Releases from the broker, believed only as far as `agent.update.trust` does.

    Args:
        config: All settings.
        folder: For verified metadata.
        floor: What this board never forgets.
        model: Name of the bundle in use.
    """

    def __init__(self, config: Config, folder: Path, floor: Floor, model: str) -> None:
        mqtt, update = config.mqtt, config.update
        client_id = mqtt.client_id or f"va-{device_id(config)}"
        self._fetcher = MqttFetcher(
            mqtt,
            fleet=update.fleet,
            client_id=f"{client_id}-update",
            password=read_password(mqtt),
            bytes_per_second=update.bytes_per_second,
        )
        https = HttpsFetcher(bytes_per_second=update.bytes_per_second) if update.mirrors else None
        self._trust = Trust(
            folder,
            read_root(config),
            self._fetcher,
            floor,
            model=model,
            hardware=update.hardware,
            https=https,
        )
        self._connected = False

    def refresh(self) -> Sequence[Release]:
        """See `Trust.refresh`; connects first."""
        self._fetcher.__enter__()
        self._connected = True
        return self._trust.refresh()

    def open_target(self, release: Release, folder: Path) -> BinaryIO:
        """See `Trust.open_target`; the connection ends with it."""
        if not self._connected:
            raise UnreachableError("The broker was not asked yet; the next check goes on.")
        try:
            return self._trust.open_target(release, folder)
        finally:
            self.close()

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._connected:
            self._connected = False
            self._fetcher.__exit__(None, None, None)
