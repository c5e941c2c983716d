"""Every message on the socket between `listen` and its peers, and their JSON form.

`listen` serves; `link` and the live view of `run` connect. Both sides send `hello` first. Then

    listen -> peers    wake  state  partial  speculative  final  health  reply
    peers -> listen    ack  command

On the wire a message is one JSON object whose `kind` names the class below; the fields are the
attributes. A kind that is not known is ignored and counted, so that an older peer survives a newer
one; so are unknown fields. A known kind with a missing field or a wrong type is an error.

The parts of a result are in `agent.result`.

Times: `time_s` counts seconds of audio since `listen` started; `wall_ms` is the system's clock in
milliseconds since 1970, to be believed only where `clock_ok` is true. Ids are the boot id of the
process that made them and a counter: equal ids are the same event, however often it arrives.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agent.errors import MalformedMessageError, MessageTooLargeError
from agent.records import RecordError, plain, read_record
from agent.result import Endpoint, Hypothesis, Routing, Timing, Utterance, WakeMark

PROTOCOL = 1
LARGEST_MESSAGE = 64 * 1024  # bytes of JSON
# Leaves room for topic and properties in a packet of 64 KiB, which every broker takes.
LARGEST_FINAL = 60 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Hello:
    """First message of either side."""

    KIND: ClassVar[str] = "hello"
    protocol: int
    agent: str
    """Version of the program."""
    boot_id: str
    """Differs at every start of the process."""
    role: str = field(default="link", metadata={"choices": ("listen", "link", "observer")})
    """Only what `link` acknowledges counts; an observer just watches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wake:
    """The wake word was heard."""

    KIND: ClassVar[str] = "wake"
    id: str
    session: str
    word: str
    score: float
    time_s: float
    """End of the word."""
    level_dbfs: float | None
    """Level of the word; None for digital silence."""
    wall_ms: int
    clock_ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The session went from one state to another."""

    KIND: ClassVar[str] = "state"
    session: str | None
    state: str
    previous: str
    reason: str
    time_s: float
    wall_ms: int
    clock_ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Partial:
    """What has been understood so far; replaces the session's earlier partials."""

    KIND: ClassVar[str] = "partial"
    session: str
    text: str
    stable_chars: int
    """Length of the beginning that is not expected to change any more."""
    time_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Speculative:
    """The result, should the speaker have finished; a final or further partials follow."""

    KIND: ClassVar[str] = "speculative"
    id: str
    session: str
    text: str
    time_s: float
    wall_ms: int
    clock_ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Final:
    """The result of a session. Sent again, with the same id, until it is acknowledged."""

    KIND: ClassVar[str] = "final"
    id: str
    session: str
    text: str
    """What was said after the wake word; empty if nothing was understood."""
    confidence: float | None = None
    wake: WakeMark | None = None
    utterances: tuple[Utterance, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
    lattice: dict[str, Any] | None = None
    endpoint: Endpoint | None = None
    routing: Routing | None = None
    timing: Timing | None = None
    latency_ms: float | None = None
    """From the end of speech, as the end-pointer places it, to this message."""
    time_s: float
    wall_ms: int
    clock_ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Proof that the microphone delivers and that inference advances."""

    KIND: ClassVar[str] = "health"
    time_s: float
    wall_ms: int
    clock_ok: bool
    uptime_s: float
    frames_total: int
    xruns_total: int
    rms_dbfs: float | None
    """Level since the last report; None for digital silence."""
    digital_silence: bool
    last_frame_age_s: float
    sessions_total: int
    dropped_total: int
    """Messages shed because a peer was slow."""
    unacknowledged: int
    """Finals that `link` has not confirmed yet."""
    rss_bytes: int
    cpu_s: float
    slot: str = ""
    """The model slot in use: factory, a or b; empty where releases are not installed."""
    release: int = 0
    slot_problem: str | None = None
    """Why another slot is in use than the record named when the models were loaded."""
    missed_slot: str = ""
    """The slot that the record named then."""
    missed_release: int = 0
    """And its release."""
    overlay: str = ""
    """How the owner's overlay is: in use, on trial, or why not; empty where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """Answer to a command."""

    KIND: ClassVar[str] = "reply"
    id: str
    """Id of the command."""
    ok: bool
    message: str = ""
    result: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ack:
    """These finals are stored durably and need not be sent again."""

    KIND: ClassVar[str] = "ack"
    ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A request to `listen`."""

    KIND: ClassVar[str] = "command"
    id: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


Event = (
    Hello | Wake | State | Partial | Speculative | Final | Health | Reply | Ack | Command
)  # fmt: skip
_KINDS: dict[str, type[Event]] = {
    kind.KIND: kind
    for kind in (Hello, Wake, State, Partial, Speculative, Final, Health, Reply, Ack, Command)
}


class Ids:
    """Hands out ids that no other start of any process hands out.

    Args:
        boot_id: What sets this start apart; random by default.
    """

    def __init__(self, boot_id: str | None = None) -> None:
        self.boot_id = boot_id or secrets.token_hex(8)
        self._counter = itertools.count(1)

    def next(self) -> str:
        """The next id."""
        return f"{self.boot_id}-{next(self._counter)}"


def encode(event: Event) -> bytes:
    """An event as JSON.

    A final that is too long loses its lattice, then its words, then its n-best list, so that its
    text always travels.

    Args:
        event: Any message.

    Returns:
        UTF-8 of at most `LARGEST_MESSAGE` bytes, for a final `LARGEST_FINAL`.

    Raises:
        MessageTooLargeError: It does not fit.
        MalformedMessageError: It holds something that JSON cannot, such as NaN.
    """
    limit = LARGEST_FINAL if isinstance(event, Final) else LARGEST_MESSAGE
    for smaller in _ever_smaller(event):
        try:
            body = json.dumps(
                {"kind": smaller.KIND, **plain(smaller)},
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
            ).encode()
        except (ValueError, TypeError) as error:
            raise MalformedMessageError(
                f"The {event.KIND} message cannot be written as JSON ({error}); this is a defect."
            ) from error
        if len(body) <= limit:
            return body
    raise MessageTooLargeError(
        f"The {event.KIND} message has {len(body)} bytes, more than the {limit} allowed;"
        " make it shorter."
    )


def decode(body: bytes) -> Event | None:
    """The event in a piece of JSON.

    Args:
        body: What a peer sent, without its length.

    Returns:
        The event, or None if its kind is not known here.

    Raises:
        MessageTooLargeError: It is longer than `LARGEST_MESSAGE`.
        MalformedMessageError: It is not UTF-8, not JSON, or not what its kind promises.
    """
    if len(body) > LARGEST_MESSAGE:
        raise MessageTooLargeError(
            f"A message of {len(body)} bytes is longer than the {LARGEST_MESSAGE} allowed."
        )
    try:
        table = json.loads(body.decode())
    # Deep nesting overflows the parser's stack long before 64 KiB are used up.
    except (ValueError, RecursionError) as error:
        raise MalformedMessageError(f"A message is not JSON in UTF-8 ({error}).") from error
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise MalformedMessageError("A message is not a JSON object with a `kind`.")
    kind = _KINDS.get(table["kind"])
    if kind is None:
        return None
    try:
        return read_record(kind, table, unknown_keys=True)
    except RecordError as error:
        raise MalformedMessageError(f"A {kind.KIND} message is broken: {error}.") from error


def _ever_smaller(event: Event) -> Iterator[Event]:
    yield event
    if isinstance(event, Final):
        event = dataclasses.replace(event, lattice=None)
        yield event
        wordless = tuple(dataclasses.replace(entry, words=()) for entry in event.nbest)
        yield dataclasses.replace(event, nbest=wordless)
        yield dataclasses.replace(event, nbest=())
