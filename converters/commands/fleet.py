"""See who runs what, who failed and why; halt or resume a rollout, or widen it.

    voice-converters fleet --config agent.toml                 a live table, until Ctrl-C
    voice-converters fleet --config agent.toml --once
    voice-converters fleet --config agent.toml --json
    voice-converters fleet --config agent.toml --repository REPO --keys KEYS --halt 7
    ... --resume 7, or --share 7=100 for a tenth of the fleet

A halted release is begun by no board any more; boards that already run it keep it until a release
with a higher number comes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from converters.commands.keys import ask_passphrase
from converters.updates.errors import PublishError

HELP = "see who runs what; halt or resume a rollout"

_REDRAW_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="an agent's configuration")
    add("--fleet", metavar="NAME", help="default: update.fleet of the configuration")
    add("--once", action="store_true", help="show the table once")
    add("--json", action="store_true", help="print one JSON object")
    add("--repository", type=Path, metavar="DIR", help="to change a rollout")
    add("--keys", type=Path, action="append", default=[], metavar="DIR", help="to sign the change")
    add("--role", help="for which boards: MODEL-HARDWARE; needed if there are several")
    add("--halt", type=int, metavar="RELEASE", help="nobody begins to install it")
    add("--resume", type=int, metavar="RELEASE", help="whoever may, installs it again")
    add("--share", metavar="RELEASE=PERMILLE", help="so much of the fleet installs it")


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.halt is not None or args.resume is not None or args.share is not None:
        return _change(args)
    return _show(args)


def _change(args: argparse.Namespace) -> int:
    from converters.commands.publish import push_to_broker
    from converters.updates.keys import KeyRing
    from converters.updates.releases import change_terms
    from converters.updates.repository import Repository

    if args.repository is None or not args.keys:
        raise PublishError("A change must be signed: give --repository and --keys.")
    repository = Repository(args.repository)
    role = args.role or (next(iter(repository.roles)) if len(repository.roles) == 1 else None)
    if role is None:
        raise PublishError(f"Name the boards with --role: {', '.join(sorted(repository.roles))}.")
    ring = KeyRing(args.keys, ask_passphrase)
    if args.halt is not None:
        change_terms(repository, ring, role, args.halt, halted=True)
        print(f"Release {args.halt} of {role} is halted.")
    if args.resume is not None:
        change_terms(repository, ring, role, args.resume, halted=False)
        print(f"Release {args.resume} of {role} is offered again.")
    if args.share is not None:
        release, share = _share(args.share)
        change_terms(repository, ring, role, release, share_permille=share)
        print(f"Release {release} of {role} is for {share} of 1000 boards.")
    push_to_broker(repository, args.config, args.fleet)
    return 0


def _share(text: str) -> tuple[int, int]:
    release, _, share = text.partition("=")
    if not (release.isdecimal() and share.isdecimal() and int(share) <= 1000):
        raise PublishError("--share is RELEASE=PERMILLE, such as 7=100 for a tenth of the fleet.")
    return int(release), int(share)


def _show(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.live import Live

    from agent.config import load_config, read_password
    from agent.mqtt.topics import FleetTopics
    from converters.updates.broker import BrokerSession
    from converters.updates.fleet import Fleet

    config = load_config(args.config)
    fleet = Fleet(config.mqtt.topic_prefix)
    name = args.fleet or config.update.fleet or "none"
    end = FleetTopics(prefix=config.mqtt.topic_prefix, fleet=name).end
    with BrokerSession(config.mqtt, read_password(config.mqtt)) as broker:
        if args.once or args.json:
            for topic, body in broker.kept(fleet.filters, end):
                fleet.hear(topic, body)
            if args.json:
                print(fleet.as_json())
            else:
                Console().print(fleet.picture())
            return 0
        broker.follow(fleet.filters)
        with Live(fleet.picture(), auto_refresh=False) as live:
            while True:
                heard = [
                    fleet.hear(topic, body)
                    for topic, body in broker.waiting(time.monotonic() + _REDRAW_S)
                ]
                if any(heard):
                    live.update(fleet.picture(), refresh=True)
