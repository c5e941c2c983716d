"""Every topic, in one table, and the payloads that travel on them.

Payloads are JSON objects of at most 64 KiB with `"schema": 1`; whoever reads them ignores fields it
does not know. A result may arrive twice (after a power cut between the broker and us); its `id`
says so. `<id>` is the device, `<prefix>` is `va` unless the configuration says otherwise.

Watch everything:      mosquitto_sub -v -t 'va/dev/+/#'
Only what was said:    mosquitto_sub -t 'va/dev/+/event/final'
Is it alive:           mosquitto_pub -t va/dev/<id>/cmd/ping -m '{"schema": 1, "id": "1"}'
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from agent.errors import ConfigError, MalformedMessageError
from agent.events import Event
from agent.records import RecordError, plain, read_record

SCHEMA = 1
LARGEST_COMMAND = 8 * 1024  # bytes

_LEVEL = re.compile(r"[^+#/\x00-\x1f\x7f]{1,64}")
_VERB = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One row of the table.

    Attributes:
        pattern: With `<prefix>`, `<id>` and at most one more placeholder.
        qos: 0 may be lost, 1 arrives at least once.
        retain: True if the broker keeps the last one for those who come later.
        expiry_s: After this time the broker forgets one that it could not deliver; None: never.
        meaning: What it says.
    """

    pattern: str
    qos: int
    retain: bool
    expiry_s: int | None
    meaning: str


TOPICS: dict[str, Topic] = {
    "state": Topic(
        pattern="<prefix>/dev/<id>/state",
        qos=1,
        retain=True,
        expiry_s=None,
        meaning='{"state": "online" | "offline", "agent", "boot_id"}; offline is the last will',
    ),
    "health": Topic(
        pattern="<prefix>/dev/<id>/health",
        qos=0,
        retain=True,
        expiry_s=None,
        meaning="the microphone's and the recogniser's pulse, see events.Health",
    ),
    "final": Topic(
        pattern="<prefix>/dev/<id>/event/final",
        qos=1,
        retain=False,
        expiry_s=None,
        meaning="what was said, see events.Final; kept on disk until the broker has it",
    ),
    "wake": Topic(
        pattern="<prefix>/dev/<id>/event/wake",
        qos=0,
        retain=False,
        expiry_s=60,
        meaning="the wake word was heard, see events.Wake",
    ),
    "session": Topic(
        pattern="<prefix>/dev/<id>/event/state",
        qos=0,
        retain=False,
        expiry_s=60,
        meaning="the session went to another state, see events.State",
    ),
    "partial": Topic(
        pattern="<prefix>/dev/<id>/event/partial",
        qos=0,
        retain=False,
        expiry_s=10,
        meaning="what has been understood so far, see events.Partial",
    ),
    "speculative": Topic(
        pattern="<prefix>/dev/<id>/event/speculative",
        qos=0,
        retain=False,
        expiry_s=10,
        meaning="the result, should the speaker have finished, see events.Speculative",
    ),
    "command": Topic(
        pattern="<prefix>/dev/<id>/cmd/<verb>",
        qos=1,
        retain=False,
        expiry_s=60,
        meaning='to us: {"schema": 1, "id", "arguments": {}}; never retained',
    ),
    "reply": Topic(
        pattern="<prefix>/dev/<id>/reply",
        qos=1,
        retain=False,
        expiry_s=60,
        meaning='{"id" of the command, "ok", "message", "result"}',
    ),
    "update": Topic(
        pattern="<prefix>/dev/<id>/update",
        qos=1,
        retain=True,
        expiry_s=None,
        meaning="which release runs in which slot, and how the last update went",
    ),
    "ota_metadata": Topic(
        pattern="<prefix>/ota/<fleet>/tuf/<file>",
        qos=1,
        retain=True,
        expiry_s=None,
        meaning="signed metadata of releases; `_end` always exists, see topics.FleetTopics",
    ),
    "ota_chunk": Topic(
        pattern="<prefix>/ota/<fleet>/t/<sha256>.<name>/<i>",
        qos=1,
        retain=True,
        expiry_s=None,
        meaning="part i of a release, at most 64 KiB of raw bytes",
    ),
}

# Which row an event from the socket travels on.
ROW_OF_EVENT = {
    "wake": "wake",
    "state": "session",
    "partial": "partial",
    "speculative": "speculative",
    "final": "final",
    "health": "health",
    "reply": "reply",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """The payload of a command."""

    schema: int
    id: str
    arguments: dict[str, Any] | None = None


class Topics:
    """The table for one device.

    Args:
        prefix: First level.
        device: The device's id.

    Raises:
        ConfigError: One of them cannot be a level of a topic.
    """

    def __init__(self, *, prefix: str, device: str) -> None:
        _check_level("mqtt.topic_prefix", prefix)
        _check_level("device.id", device)
        self.device = device
        self._prefix = prefix

    def of(self, row: str, verb: str = "+") -> str:
        """A topic in full.

        Args:
            row: Key of the table.
            verb: For commands; all of them by default.

        Returns:
            The topic, or for commands the filter to subscribe to.
        """
        values = {"<prefix>": self._prefix, "<id>": self.device, "<verb>": verb}
        levels = TOPICS[row].pattern.split("/")
        return "/".join(values.get(level, level) for level in levels)

    def verb_of(self, topic: str) -> str | None:
        """The verb of a command's topic.

        Args:
            topic: Where a message arrived.

        Returns:
            The verb, or None if this is no command to us.
        """
        base = self.of("command", verb="")
        verb = topic.removeprefix(base)
        return verb if topic.startswith(base) and _VERB.fullmatch(verb) else None


class FleetTopics:
    """Where the releases of a fleet lie.

    The broker keeps them; nobody sends them to anybody. Who wants a file subscribes to its topic
    and, in the same packet, to `end`, which always holds something: when that arrives and the file
    has not, there is no such file. MQTT has no other way to say so.

    Args:
        prefix: First level.
        fleet: The fleet's name.

    Raises:
        ConfigError: One of them cannot be a level of a topic.
    """

    def __init__(self, *, prefix: str, fleet: str) -> None:
        _check_level("mqtt.topic_prefix", prefix)
        _check_level("update.fleet", fleet)
        self._values = {"<prefix>": prefix, "<fleet>": fleet}

    @property
    def end(self) -> str:
        """What is always there."""
        return self.metadata("_end")

    @property
    def everything(self) -> str:
        """Filter for all topics of the fleet."""
        return self.end.removesuffix("tuf/_end") + "#"

    def metadata(self, file: str) -> str:
        """The topic of a file of metadata, such as `timestamp.json`."""
        return self._fill("ota_metadata", {"<file>": file})

    def chunk(self, name: str, index: int) -> str:
        """The topic of a part of a release.

        Args:
            name: `<sha256>.<name>`.
            index: From 0.

        Returns:
            The topic.
        """
        return self._fill("ota_chunk", {"<sha256>.<name>": name, "<i>": str(index)})

    def _fill(self, row: str, values: dict[str, str]) -> str:
        values = self._values | values
        return "/".join(values.get(level, level) for level in TOPICS[row].pattern.split("/"))


def payload(content: Event | dict[str, Any]) -> bytes:
    """An event or a table as the broker gets it.

    Args:
        content: An event from the socket, or the fields of a state.

    Returns:
        JSON with the schema's version.
    """
    table = {"schema": SCHEMA, **plain(content)}
    return json.dumps(table, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def read_request(body: bytes) -> Request:
    """Reads what somebody on the network sent as a command.

    Args:
        body: The payload.

    Returns:
        The command's id and arguments.

    Raises:
        MalformedMessageError: It is too long, not JSON, of another schema, or lacks its id.
    """
    if len(body) > LARGEST_COMMAND:
        raise MalformedMessageError(
            f"A command of {len(body)} bytes is longer than the {LARGEST_COMMAND} allowed."
        )
    try:
        request = read_record(Request, json.loads(body.decode()), unknown_keys=True)
    except (ValueError, RecursionError, RecordError) as error:
        raise MalformedMessageError(
            f'A command is not {{"schema": 1, "id": "...", "arguments": {{}}}} ({error}).'
        ) from error
    if request.schema != SCHEMA or not 0 < len(request.id) <= 128:
        raise MalformedMessageError(
            f"A command needs schema {SCHEMA} and an id of 1 to 128 characters."
        )
    return request


def _check_level(key: str, level: str) -> None:
    if not _LEVEL.fullmatch(level) or level.startswith("$"):
        raise ConfigError(
            f"{key}: {level!r} cannot be a level of a topic; use 1 to 64 characters without"
            " '+', '#' and '/', and no '$' in front."
        )
