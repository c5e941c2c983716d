"""Metadata and releases from the broker: what `tuf` calls a fetcher.

`tuf.ngclient.Updater` asks for URLs; here they are `mqtt:tuf/<file>`, and the file is the retained
message of that name. An absent file is a 404, which is how the client learns that there is no newer
list of keys. Releases come in parts, each a retained message of its own, so that a broken download
goes on where it stopped.

Only the short-lived child that checks for updates may import this module: it loads `tuf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from agent.config import MqttConfig
from agent.errors import AbsentError, EndlessDataError, TamperedError
from agent.mqtt.topics import FleetTopics
from agent.update.bounded_client import RetainedReader
from agent.update.pace import Pace
from agent.update.release import Release

BASE_URL = "mqtt:tuf/"

_FILE = re.compile(r"[A-Za-z0-9._-]{1,160}\.json")


class MqttFetcher(FetcherInterface):
    """Fetches over one connection; to be entered and left.

    Args:
        config: The broker.
        fleet: The fleet whose releases are wanted.
        client_id: Unique on the broker; not the one of `link`.
        password: The broker's, if any.
        bytes_per_second: Limit for releases; 0 for none.
        timeout_s: Longest wait for an answer.
        grace_s: See `RetainedReader`.

    Raises:
        ConfigError: Prefix or fleet cannot be part of a topic.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        fleet: str,
        client_id: str,
        password: str | None,
        bytes_per_second: int = 0,
        timeout_s: float = 5.0,
        grace_s: float = 0.25,
    ) -> None:
        self._topics = FleetTopics(prefix=config.topic_prefix, fleet=fleet)
        self._reader = RetainedReader(
            config,
            client_id=client_id,
            password=password,
            end=self._topics.end,
            timeout_s=timeout_s,
            grace_s=grace_s,
        )
        self._pace = Pace(bytes_per_second)

    def __enter__(self) -> Self:
        """Connects.

        Raises:
            UnreachableError: Nobody answers, or we are refused.
        """
        self._reader.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the connection."""
        self._reader.__exit__(kind, error, trace)

    def chunks(self, release: Release, start: int) -> Iterator[bytes]:
        """The parts of a release.

        Args:
            release: Which.
            start: Bytes that are already there; whole parts.

        Yields:
            Parts in order, each of the length it must have.

        Raises:
            UnreachableError: The connection broke.
            AbsentError: The broker does not have a part.
            EndlessDataError: A part is longer than it may be.
            TamperedError: A part is shorter than it must be.
        """
        for offset in range(start, release.length, release.chunk):
            index = offset // release.chunk
            expected = min(release.chunk, release.length - offset)
            what = f"Part {index} of release {release.release}"
            body = self._reader.read(self._topics.chunk(release.file, index))
            if body is None:
                raise AbsentError(f"{what} is not on the broker; publish the repository again.")
            if len(body) > expected:
                raise EndlessDataError(
                    f"{what} has {len(body)} bytes instead of {expected}; publish it again."
                )
            if len(body) < expected:
                raise TamperedError(
                    f"{what} has {len(body)} bytes instead of {expected}; publish it again."
                )
            yield body
            self._pace.spend(len(body))

    def _fetch(self, url: str) -> Iterator[bytes]:
        file = unquote(url.removeprefix(BASE_URL))
        if not url.startswith(BASE_URL) or not _FILE.fullmatch(file):
            raise DownloadError(f"{url[:200]!r} is not a file of metadata")
        body = self._reader.read(self._topics.metadata(file))
        if body is None:
            raise DownloadHTTPError(f"{file} is not on the broker", 404)
        return iter([body])
