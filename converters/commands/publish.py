"""Keep a repository of signed releases, and publish it to the broker.

    voice-converters publish start   --repository REPO --keys KEYS
    voice-converters publish release --repository REPO --keys KEYS --bundle BUNDLE
    voice-converters publish push    --repository REPO --config agent.toml --fleet home
    voice-converters publish stamp   --repository REPO --keys ONLINE_KEYS      daily, by cron
    voice-converters publish renew   --repository REPO --keys KEYS --role targets

`start` makes an empty repository; REPO/metadata/1.root.json goes onto every board. `release` adds
the release of a bundle: a full image, and diffs from the last few. `stamp` says that all still
holds, which boards want to hear every other day. `renew` signs again what needs offline keys;
`stamp` warns when that is due. `push` brings the broker to what the repository says. With --config
every other action pushes too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from converters.commands.keys import ask_passphrase
from converters.updates.errors import PublishError

if TYPE_CHECKING:
    from converters.updates.keys import KeyRing
    from converters.updates.repository import Repository

HELP = "sign releases and publish them to the broker"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("action", choices=("start", "release", "stamp", "renew", "push"))
    add("--repository", type=Path, required=True, metavar="DIR", help="the repository's folder")
    add(
        "--keys",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with keys; may be repeated",
    )
    add("--config", type=Path, metavar="FILE", help="an agent's configuration: which broker")
    add("--fleet", metavar="NAME", help="for whom; default: update.fleet of the configuration")
    add("--bundle", type=Path, metavar="DIR", help="release: the bundle")
    add("--hardware", default="any", help="release: the machines it is for, in a word")
    add("--share", type=int, default=1000, metavar="PERMILLE", help="release: part of the fleet")
    add("--diffs", type=int, default=3, metavar="N", help="release: from how many before it")
    add("--mirror", default="", metavar="URL", help="release: where the full image will lie")
    add("--word-errors", type=int, metavar="PERMILLE", help="release: most errors in the trial")
    add("--latency", type=int, metavar="PERMILLE", help="release: slowest, of what the base needs")
    add("--memory", type=int, metavar="MB", help="release: most memory in the trial")
    add("--seconds", type=int, metavar="S", help="release: longest duration of the trial")
    add("--role", action="append", default=[], help="renew: what is signed again")


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    from converters.updates.keys import KeyRing
    from converters.updates.repository import Repository

    if args.action != "push" and not args.keys:
        raise PublishError("Name the folders with keys: --keys DIR.")
    ring = KeyRing(args.keys, ask_passphrase)
    if args.action == "start":
        repository = Repository.create(args.repository, ring, ring.first_public_keys())
        print(f"Copy {args.repository / 'metadata' / '1.root.json'} onto every board.")
    else:
        repository = Repository(args.repository)
    if args.action == "release":
        _release(args, repository, ring)
    elif args.action == "stamp":
        repository.stamp(ring)
    elif args.action == "renew":
        repository.commit(ring, *(args.role or sorted(repository.roles)))
    for role, expires in repository.expiring():
        print(
            f"warning: {role} expires on {expires:%Y-%m-%d}; run: voice-converters publish renew"
            f" --role {role}",
            file=sys.stderr,
        )
    if args.config is not None:
        push_to_broker(repository, args.config, args.fleet)
    elif args.action == "push":
        raise PublishError("Name the broker: --config FILE.")
    return 0


def push_to_broker(repository: Repository, config_file: Path, fleet: str | None) -> None:
    """Publishes and says what was done.

    Args:
        repository: What.
        config_file: An agent's configuration.
        fleet: For whom; None: as the configuration says.

    Raises:
        PublishError: No fleet is named, or the broker does not take it.
    """
    from agent.config import load_config, read_password
    from converters.updates.publisher import push

    config = load_config(config_file)
    name = fleet or config.update.fleet
    if not name:
        raise PublishError("Name the fleet: --fleet, or update.fleet in the configuration.")
    done = push(repository, config.mqtt, fleet=name, password=read_password(config.mqtt))
    print(
        f"{done.sent} messages ({done.sent_bytes} bytes) sent, {done.kept} were there,"
        f" {done.removed} removed."
    )


def _release(args: argparse.Namespace, repository: Repository, ring: KeyRing) -> None:
    from agent.bundle.manifest import load_bundle
    from agent.update.release import TrialLimits
    from converters.updates.keys import make_key
    from converters.updates.releases import Terms, add_release

    if args.bundle is None:
        raise PublishError("Name the bundle: --bundle DIR.")
    if not 0 <= args.share <= 1000 or not 0 <= args.diffs <= 8:
        raise PublishError("--share is 0 to 1000 permille, --diffs 0 to 8 releases.")
    own = load_bundle(args.bundle).manifest.trial
    chosen = {
        "word_error_permille": args.word_errors
        if args.word_errors is not None
        else own.word_errors,
        "latency_permille": args.latency,
        "memory_mb": args.memory,
        "seconds": args.seconds,
    }
    terms = Terms(
        hardware=args.hardware,
        share_permille=args.share,
        diffs=args.diffs,
        mirror=args.mirror,
        trial=TrialLimits(**{key: value for key, value in chosen.items() if value is not None}),
    )
    made = add_release(
        repository,
        ring,
        args.bundle,
        terms,
        new_role_key=lambda role: make_key(args.keys[0], role).public_key,
    )
    for target in made:
        print(f"{target.length:>10} bytes  {target.path}")
    if args.mirror:
        print(f"Put {args.repository / 'targets'} behind {args.mirror}, or the image is not found.")
