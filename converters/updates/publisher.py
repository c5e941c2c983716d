"""Brings the broker to what the repository's folder says, and not one message further.

Boards may be reading while this goes on, so the order is: parts of releases, metadata that others
refer to, the timestamp, and only then the removal of what nobody refers to any more. What the
broker already has is not sent again; run this after each change, daily after `publish stamp`, and
whenever a broker has lost its memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.config import MqttConfig
from agent.mqtt.topics import FleetTopics
from agent.update.release import parse_release
from converters.updates.broker import BrokerSession
from converters.updates.errors import RepositoryFolderError
from converters.updates.repository import Repository


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    sent: int
    """Messages that the broker did not have."""
    sent_bytes: int
    """Of their payloads."""
    removed: int
    """Messages that nobody refers to any more."""
    kept: int
    """Messages that the broker had already."""


def push(
    repository: Repository,
    config: MqttConfig,
    *,
    fleet: str,
    password: str | None,
    progress: Callable[[str], None] = lambda _: None,
) -> Pushed:
    """Publishes a repository.

    Args:
        repository: What.
        config: The broker.
        fleet: For whom.
        password: The broker's, if any.
        progress: Told each topic that is sent.

    Returns:
        What was done.

    Raises:
        BrokerError: The broker does not take it.
        RepositoryFolderError: A file of the repository is missing.
        ConfigError: The fleet's name cannot be part of a topic.
    """
    topics = FleetTopics(prefix=config.topic_prefix, fleet=fleet)
    with BrokerSession(config, password) as broker:
        there = {
            topic: hashlib.sha256(body).digest()
            for topic, body in broker.kept([topics.everything], topics.end)
        }
        sent = sent_bytes = kept = 0
        wanted: set[str] = set()
        for topic, body in _messages(repository, topics):
            wanted.add(topic)
            if there.get(topic) == hashlib.sha256(body).digest():
                kept += 1
                continue
            progress(topic)
            broker.keep(topic, body)
            sent += 1
            sent_bytes += len(body)
        stale = sorted(set(there) - wanted)
        for topic in stale:
            broker.keep(topic, b"")
    return Pushed(sent, sent_bytes, len(stale), kept)


def _messages(repository: Repository, topics: FleetTopics) -> Iterator[tuple[str, bytes]]:
    """Everything that the broker shall keep, in the order in which it is to be sent."""
    for role in repository.roles.values():
        for path, target in role.signed.targets.items():
            release = parse_release(
                path,
                target.length,
                target.hashes.get("sha256"),
                target.unrecognized_fields.get("custom"),
            )
            if not release.mirror:
                content = repository.target_path(target)
                for index, chunk in enumerate(_chunks(content, release.chunk)):
                    yield topics.chunk(release.file, index), chunk
    for name, content_bytes in repository.metadata_files().items():
        yield topics.metadata(name), content_bytes


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(size):
                yield chunk
    except OSError as error:
        raise RepositoryFolderError(
            f"{path} cannot be read ({error.strerror}); restore the repository's folder."
        ) from error
