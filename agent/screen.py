"""What `voice-agent run` shows: a live view on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Protocol, TextIO

from agent.events import Event, Final, Partial, Speculative, State, Wake

if TYPE_CHECKING:
    from rich.console import Group

_RESULTS_SHOWN = 8
_IDS_REMEMBERED = 512
_STATES = {"idle": "waiting for the wake word"}


class Screen(Protocol):
    """Where events are shown."""

    captures_logs: bool

    def show(self, event: Event) -> None:
        """Shows an event."""

    def hearing(self, there: bool) -> None:
        """Shows whether `listen` is connected."""

    def log(self, line: str) -> None:
        """Shows a log line."""

    def close(self) -> None:
        """Leaves the last picture behind."""


def open_screen(title: str, stream: TextIO | None = None) -> Screen:
    """The screen that suits where we write.

    Args:
        title: First line, for example what is listened to.
        stream: Where to; standard output by default.

    Returns:
        A live view for terminals, plain lines for everything else.
    """
    stream = stream or sys.stdout
    return LiveScreen(title, stream) if stream.isatty() else PlainScreen(title, stream)


def latency(final: Final) -> str:
    """How long after the end of speech a result came, in words."""
    if final.latency_ms is None:
        return ""
    return f"{final.latency_ms:.0f} ms after the end of speech"


class _Seen:
    """Finals are repeated until they are acknowledged; people want to see them once."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque(maxlen=_IDS_REMEMBERED)

    def before(self, final: Final) -> bool:
        if final.id in self._ids:
            return True
        self._ids.append(final.id)
        return False


class PlainScreen:
    """One line for each event, with seconds of audio in front.

    Args:
        title: First line.
        stream: Where to.
    """

    captures_logs = False

    def __init__(self, title: str, stream: TextIO) -> None:
        self._stream = stream
        self._seen = _Seen()
        self._write(title)

    def show(self, event: Event) -> None:
        """Shows an event.

        Args:
            event: From `listen`; kinds that tell people nothing are skipped.
        """
        match event:
            case Wake():
                level = "" if event.level_dbfs is None else f", level {event.level_dbfs:.0f} dBFS"
                self._line(event.time_s, "wake", f"{event.word}  (score {event.score:.2f}{level})")
            case Partial():
                self._line(event.time_s, "partial", event.text)
            case Final() if not self._seen.before(event):
                self._line(event.time_s, "final", _final_text(event))

    def hearing(self, there: bool) -> None:
        """Says nothing: the lines of `listen` itself are among the others.

        Args:
            there: Whether `listen` is connected.
        """

    def log(self, line: str) -> None:
        """Shows a log line.

        Args:
            line: Without its end.
        """
        self._write(line)

    def close(self) -> None:
        """Nothing is left to do."""

    def _line(self, time_s: float, kind: str, text: str) -> None:
        self._write(f"{time_s:8.2f} s  {kind:<8} {text}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class LiveScreen:
    """A picture that follows the session, drawn with rich.

    Args:
        title: First line.
        stream: The terminal.
    """

    captures_logs = True

    def __init__(self, title: str, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - a quarter of a second that lines do not need
        from rich.live import Live  # noqa: PLC0415

        self._title = title
        self._seen = _Seen()
        self._there = False
        self._state = "starting"
        self._wake: Wake | None = None
        self._text = ("", "")
        self._results: deque[tuple[Wake | None, Final]] = deque(maxlen=_RESULTS_SHOWN)
        # Drawn by the thread that calls `show`: children are started with only one thread about.
        self._live = Live(
            self._picture(),
            console=Console(file=stream),
            auto_refresh=False,
        )
        self._live.start(refresh=True)

    def show(self, event: Event) -> None:
        """Draws what has changed.

        Args:
            event: From `listen`.
        """
        match event:
            case State():
                self._state = event.state
            case Wake():
                self._wake, self._text = event, ("", "")
            case Partial():
                cut = event.stable_chars
                self._text = (event.text[:cut], event.text[cut:])
            case Speculative():
                self._text = (event.text, "")
            case Final() if not self._seen.before(event):
                self._results.append((self._wake, event))
                self._wake, self._text = None, ("", "")
            case _:
                return
        self._live.update(self._picture(), refresh=True)

    def hearing(self, there: bool) -> None:
        """Shows whether `listen` is connected.

        Args:
            there: True if so.
        """
        if there is not self._there:
            self._there = there
            self._state = "idle" if there else "starting"
            self._live.update(self._picture(), refresh=True)

    def log(self, line: str) -> None:
        """Shows a log line above the picture.

        Args:
            line: Without its end.
        """
        from rich.text import Text  # noqa: PLC0415

        self._live.console.print(Text(line, style="dim"))

    def close(self) -> None:
        """Leaves the last picture behind."""
        self._live.update(self._picture())
        self._live.stop()

    def _picture(self) -> Group:
        from rich.console import Group  # noqa: PLC0415
        from rich.panel import Panel  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        now = Text()
        if self._wake is None:
            now.append(_STATES.get(self._state, self._state), style="dim")
        else:
            now.append(f"{self._wake.word} ", style="bold green")
            now.append(f"{self._wake.score:.2f}  ", style="green")
            now.append(self._text[0], style="bold")
            now.append(self._text[1], style="italic")
            now.append(" …", style="dim")
        results = Table(expand=True, box=None, pad_edge=False)
        results.add_column("audio", justify="right", style="dim", no_wrap=True)
        results.add_column("wake", style="green", no_wrap=True)
        results.add_column("text", ratio=1)
        results.add_column("after speech", justify="right", no_wrap=True)
        for wake, final in self._results:
            delay = "" if final.latency_ms is None else f"{final.latency_ms:.0f} ms"
            results.add_row(
                f"{final.time_s:.1f} s",
                "" if wake is None else f"{wake.word} {wake.score:.2f}",
                Text(final.text or "(nothing understood)", style="bold" if final.text else "dim"),
                delay,
            )
        return Group(Panel(now, title=self._title, title_align="left"), results)


def _final_text(final: Final) -> str:
    text = final.text or "(nothing understood)"
    delay = latency(final)
    return f"{text}  ({delay})" if delay else text
