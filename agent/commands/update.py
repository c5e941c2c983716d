"""`voice-agent update`: what runs here, look for a new release now, or go back to the one before.

    voice-agent update status            which release runs in which slot, and how it went
    voice-agent update check             looks for updates now, and installs what is found
    voice-agent update rollback          back to the slot before; the release is refused from now on

`link` looks for updates by itself; it notices what these commands do, and has `listen` switch.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import Config
    from agent.update.journal import Record

HELP = "what runs here; look for updates now; go back to the release before"

_PR_SET_PDEATHSIG = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("action", choices=("status", "check", "rollback"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--state", type=Path, metavar="DIR", help="state directory of `link`")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    # From `link`: its process id; what it has heard is on standard input.
    parser.add_argument("--heard", type=int, metavar="PID", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    """Does what is asked, and prints what holds then.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status: 1 if a check brought nothing that it should have brought.

    Raises:
        ConfigError: The configuration cannot be used, or the state belongs to another user.
        UpdateError: Another update is under way, or the record cannot be written.
    """
    from agent.config import load_config
    from agent.paths import state_directory, update_state
    from agent.update.journal import Journal

    if args.heard is not None:
        _belong_to(args.heard)
    config = load_config(args.config)
    if args.action == "status":
        # Also for whoever may only read it.
        state = args.state or update_state(config, state_directory(None))
        record = Journal(state / "update" / "journal").load()
        _print(record, config, args.json, overlay=_overlay(config, state))
        return 0

    from agent.hearing.loading import factory_directory
    from agent.log import start_logging
    from agent.update.heard import LARGEST_HEARD, Heard, read_heard
    from agent.update.updater import look_for_updates, roll_back

    state = state_directory(args.state) if args.state else update_state(config, state_directory())
    _check_owner(state)
    start_logging("update")
    if args.action == "rollback":
        record = roll_back(config, state, factory_directory(config))
        _print(record, config, args.json)
        return 0
    heard = Heard()
    if args.heard is not None:
        heard = read_heard(sys.stdin.buffer.read(LARGEST_HEARD))
    before = Journal(state / "update" / "journal").load()
    record = look_for_updates(config, state, factory_directory(config), heard)
    if args.heard is not None:
        # What went wrong is on record, and `link` publishes it.
        return 0
    _print(record, config, args.json)
    failed = record.failure is not None and record.failure != before.failure
    return 1 if failed or record.trouble else 0


def _print(record: Record, config: Config, as_json: bool, *, overlay: str | None = None) -> None:
    from agent.update.heard import Heard
    from agent.update.status import lines_of, status_of

    if as_json:
        status = status_of(record, Heard(), hardware=config.update.hardware)
        print(json.dumps(status | {"overlay": overlay}, ensure_ascii=False))
        return
    for what, how in [*lines_of(record), *([("overlay", overlay)] if overlay else [])]:
        print(f"{what:<9}{how}".rstrip())


def _overlay(config: Config, state: Path) -> str | None:
    """How the owner's overlay is, from whoever hears with it; None where there is none."""
    if not config.bundle.overlay:
        return None
    from agent.channel.asking import ask_health
    from agent.channel.handshake import allowed_uids
    from agent.errors import SocketError
    from agent.paths import socket_path

    try:
        path = socket_path(config, state)
        return ask_health(path, allowed_uids(config.socket.allowed_users)).overlay
    except SocketError as error:
        return f"not known: {error}"


def _check_owner(state: Path) -> None:
    """What root writes here, `link` could not replace any more."""
    import pwd

    from agent.errors import ConfigError

    owner = state.stat().st_uid
    if os.geteuid() == owner:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise ConfigError(f"{state} belongs to {name}; run this as that user: sudo -u {name} ...")


def _belong_to(parent: int) -> None:
    """Ends with `link`, and never takes the processor from whoever listens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It has ended before the kernel was asked to tell us.
        sys.exit(1)
    # The trial inherits it. Where the unit forbids it, `listen` has more weight anyway.
    with contextlib.suppress(OSError):
        os.nice(10)
