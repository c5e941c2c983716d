from __future__ import annotations

import dataclasses
import io

import pytest

from agent.events import Event, Final, Partial
from agent.screen import LiveScreen, PlainScreen, open_screen
from tests.agent.channel.samples import final, hello, speculative, state, wake


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_session() -> list[Event]:
    result = final(1, text="turn on the kitchen light")
    assert isinstance(result, Final)
    result = dataclasses.replace(result, latency_ms=412.4, time_s=3.5)
    return [
        hello("listen"),
        wake(1),
        Partial(session="s1", text="turn", stable_chars=4, time_s=1.52),
        Partial(session="s1", text="turn on the kit", stable_chars=8, time_s=2.0),
        speculative(1),
        result,
        # The connection broke, so it comes again.
        result,
        final(2, text=""),
        state(1),
    ]


def test_plain_lines() -> None:
    stream = io.StringIO()
    screen = open_screen("voice-agent: file:x.wav", stream)
    assert isinstance(screen, PlainScreen)
    for event in a_session():
        screen.show(event)
    screen.log("link: info: Connected.")
    screen.hearing(there=True)
    screen.close()
    assert stream.getvalue().splitlines() == [
        "voice-agent: file:x.wav",
        "    1.00 s  wake     computer  (score 0.90, level -20 dBFS)",
        "    1.52 s  partial  turn",
        "    2.00 s  partial  turn on the kit",
        "    3.50 s  final    turn on the kitchen light  (412 ms after the end of speech)",
        "    1.00 s  final    (nothing understood)",
        "link: info: Connected.",
    ]


def test_a_wake_in_digital_silence_has_no_level() -> None:
    stream = io.StringIO()
    event = wake(1)
    PlainScreen("t", stream).show(dataclasses.replace(event, level_dbfs=None))
    assert "level" not in stream.getvalue()


def test_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    screen = open_screen("voice-agent: file:x.wav", stream)
    assert isinstance(screen, LiveScreen)
    assert "starting" in stream.getvalue()
    screen.hearing(there=True)
    assert "waiting for the wake word" in stream.getvalue()
    events = a_session()
    for event in events[:4]:
        screen.show(event)
    assert "computer" in stream.getvalue()
    assert "kit" in stream.getvalue()
    screen.log("link: info: [not markup] Connected.")
    for event in events[4:]:
        screen.show(event)
    stream.seek(0)
    stream.truncate()
    screen.close()
    last = stream.getvalue()
    assert last.count("turn on the kitchen light") == 1
    assert "412 ms" in last
    assert "(nothing understood)" in last
    assert "computer 0.90" in last


def test_recognised_text_is_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    screen = LiveScreen("title", stream)
    screen.show(final(1, text="[/bold] [red]call[/red]"))
    screen.close()
    assert "[/bold] [red]call[/red]" in stream.getvalue()
