"""Who runs what, who failed and why: read from the retained states that boards publish.

What boards say is not signed and comes from a network: it is read with limits, shown as plain text,
and decides nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agent.mqtt.topics import Topics
from agent.records import RecordError, plain, read_record

_LARGEST_STATE = 64 * 1024  # bytes
_MOST_BOARDS = 100_000
_MOST_TEXT = 200  # characters
_WIDEST = 24  # columns of the terminal for a name


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A release that a board will not try again."""

    release: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class BoardUpdate:
    """What a board says about its updates, on its topic `update`."""

    model: str = ""
    hardware: str = ""
    release: int | None = None
    """What it runs."""
    slot: str = ""
    stage: str = ""
    """Step of the update under way."""
    candidate: int | None = None
    """Release of the update under way."""
    floor: int | None = None
    transaction: str = ""
    problem: str | None = None
    """Why it does not run what it should."""
    error: str | None = None
    """How its last attempt failed."""
    trouble: str | None = None
    """What its last check could not do."""
    stale: bool = False
    """True if nobody vouches any more for what the broker offers."""
    refused: tuple[Refused, ...] = ()
    agent: str = ""


@dataclass
class Board:
    """A board and what is known about it."""

    device: str
    online: bool | None = None
    update: BoardUpdate = field(default_factory=BoardUpdate)
    garbled: bool = False
    """Its last state could not be read."""

    @property
    def trouble(self) -> str:
        """Why it does not run what it should, or nothing; the nearest reason of several."""
        if self.garbled:
            return "its state cannot be read"
        update = self.update
        refused = [f"{refused.release}: {refused.reason}" for refused in update.refused[-1:]]
        return update.problem or update.error or "".join(refused) or update.trouble or ""

    @property
    def step(self) -> str:
        """Step and release of the update under way."""
        update = self.update
        return f"{update.stage} {update.candidate}" if update.candidate else update.stage


class Fleet:
    """All boards that have spoken.

    Args:
        prefix: First level of all topics.

    Attributes:
        boards: By id.
    """

    def __init__(self, prefix: str) -> None:
        self._any = Topics(prefix=prefix, device="any")
        self._head = self._any.of("update").partition("any")[0]
        self.boards: dict[str, Board] = {}

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        return [f"{self._head}+/update", f"{self._head}+/state"]

    def hear(self, topic: str, body: bytes) -> bool:
        """Notes a message.

        Args:
            topic: Where it came.
            body: What it says; empty if a board has been removed.

        Returns:
            True if something may have changed.
        """
        device, _, row = topic.removeprefix(self._head).partition("/")
        if not topic.startswith(self._head) or row not in ("update", "state") or not device:
            return False
        if device not in self.boards and len(self.boards) >= _MOST_BOARDS:
            return False
        if not body:
            if row == "update":
                self.boards.pop(device, None)
            return True
        board = self.boards.setdefault(device, Board(device))
        try:
            table = _table(body)
            if row == "state":
                board.online = table.get("state") == "online"
            else:
                board.update = read_record(BoardUpdate, table, unknown_keys=True)
                board.garbled = False
        except (ValueError, RecursionError, RecordError):
            board.garbled = True
        return True

    def summary(self) -> dict[str, int]:
        """How many boards run each release, by words for people."""
        running = Counter(
            "an unknown release"
            if board.update.release is None
            else f"{board.update.model or 'release'} {board.update.release}"
            for board in self.boards.values()
        )
        return dict(sorted(running.items()))

    def as_json(self) -> str:
        """Everything, for programs: one object with a list of boards."""
        boards = [
            {"device": board.device, "online": board.online, "trouble": board.trouble}
            | plain(board.update)
            for board in sorted(self.boards.values(), key=lambda board: board.device)
        ]
        return json.dumps({"summary": self.summary(), "boards": boards}, ensure_ascii=False)

    def picture(self, most: int = 200) -> Group:
        """Everything, for people: those with trouble first.

        Args:
            most: Rows.

        Returns:
            What rich draws.
        """
        table = Table(box=None, pad_edge=False, expand=True)
        # What a board calls itself must not take the room of the others.
        for title in ("board", "", "bundle", "hardware"):
            table.add_column(title, no_wrap=True, max_width=_WIDEST)
        table.add_column("release", justify="right")
        for title in ("slot", "step"):
            table.add_column(title, no_wrap=True)
        table.add_column("floor", justify="right")
        table.add_column("trouble", ratio=1, min_width=_WIDEST)
        ordered = sorted(self.boards.values(), key=lambda b: (not b.trouble, b.device))
        for board in ordered[:most]:
            update = board.update
            here = {True: "online", False: "offline", None: ""}[board.online]
            table.add_row(
                _shown(board.device),
                Text(here, style="green" if board.online else "dim"),
                _shown(update.model),
                _shown(update.hardware),
                _shown(update.release),
                _shown(update.slot),
                _shown(board.step),
                _shown(update.floor),
                Text(_plain(board.trouble), style="red"),
            )
        lines = [Text(f"{_plain(what)}: {count}") for what, count in self.summary().items()]
        hidden = len(ordered) - most
        if hidden > 0:
            lines.append(Text(f"and {hidden} boards more; --json shows all", style="dim"))
        if not ordered:
            lines.append(Text("No board has published its state yet.", style="dim"))
        return Group(table, Text(""), *lines)


def _table(body: bytes) -> dict[str, Any]:
    if len(body) > _LARGEST_STATE:
        raise ValueError("too long")
    table = json.loads(body.decode())
    if not isinstance(table, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as with everything else that is wrong
    return table


def _shown(value: object) -> Text:
    return Text("" if value is None else _plain(str(value)))


def _plain(text: str) -> str:
    """What a terminal may be given: no control characters, no endless lines."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_MOST_TEXT])
