"""Make the keys that sign releases, see which there are, replace one.

    voice-converters keys make --keys KEYS                all keys of the beginning
    voice-converters keys make --keys KEYS --encrypt      those that stay offline need a passphrase
    voice-converters keys list --keys KEYS --repository REPO
    voice-converters keys replace --keys KEYS --repository REPO --role timestamp --old 1a2b3c4d

Losing two root keys means a new trust root on every board; losing any other key means `replace`.
The passphrase may also be in the environment variable VOICE_CONVERTERS_PASSPHRASE.
"""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from converters.updates.errors import KeyFileError

HELP = "make, list and replace the keys that sign releases"

_VARIABLE = "VOICE_CONVERTERS_PASSPHRASE"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("action", choices=("make", "list", "replace"))
    parser.add_argument(
        "--keys", type=Path, action="append", required=True, metavar="DIR",
        help="folder with keys; may be repeated, new keys go into the first",
    )  # fmt: skip
    parser.add_argument("--repository", type=Path, metavar="DIR", help="whose keys count")
    parser.add_argument("--encrypt", action="store_true", help="protect new offline keys")
    parser.add_argument("--role", action="append", default=[], help="replace: of which role")
    parser.add_argument("--old", metavar="ID", help="replace: the key that counts no more")


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.action == "make":
        return _make(args)
    if args.action == "list":
        return _list(args)
    return _replace(args)


def ask_passphrase(path: Path) -> bytes:
    """The passphrase of an encrypted key.

    Args:
        path: Its file.

    Returns:
        The passphrase.

    Raises:
        KeyFileError: There is nobody to ask.
    """
    if _VARIABLE in os.environ:
        return os.environ[_VARIABLE].encode()
    try:
        return getpass.getpass(f"Passphrase of {path.name}: ").encode()
    except EOFError as error:
        raise KeyFileError(f"{path} is encrypted; set {_VARIABLE}.") from error


def _new_passphrase(what: str) -> bytes:
    """A passphrase that did not exist before, typed twice."""
    chosen = ask_passphrase(Path(what))
    if len(chosen) < 8:
        raise KeyFileError("The passphrase is shorter than 8 characters; choose another.")
    if _VARIABLE not in os.environ and ask_passphrase(Path(f"{what}, again")) != chosen:
        raise KeyFileError("The two passphrases differ; try again.")
    return chosen


def _make(args: argparse.Namespace) -> int:
    from converters.updates.keys import first_keys, key_files

    folder = args.keys[0]
    if key_files([folder]):
        raise KeyFileError(f"{folder} already holds keys; name an empty folder.")
    passphrase = None
    if args.encrypt:
        passphrase = _new_passphrase("the offline keys")
    first_keys(folder, passphrase)
    for file in key_files([folder]):
        where = "keep it offline" if file.role in ("root", "targets") else "needed every day"
        print(f"{file.path}  {file.role}, {where}")
    print("Copy the root keys to different places: any 2 of 3 can replace every other key.")
    return 0


def _list(args: argparse.Namespace) -> int:
    from converters.updates.keys import key_files
    from converters.updates.repository import Repository

    counting: dict[str, list[str]] = {}
    repository = None
    if args.repository is not None:
        repository = Repository(args.repository)
        for role, key_id in repository.key_ids():
            counting.setdefault(key_id[:8], []).append(role)
    for file in key_files(args.keys):
        roles = ", ".join(counting.pop(file.short_id, [])) if repository else file.role
        print(f"{file.short_id}  {roles or 'counts for nothing'}  {file.path}")
    for short_id, elsewhere in counting.items():
        print(f"{short_id}  {', '.join(elsewhere)}  (not in these folders)")
    return 0


def _replace(args: argparse.Namespace) -> int:
    from converters.updates.keys import KeyRing, make_key
    from converters.updates.repository import Repository

    if args.repository is None or not args.role:
        raise KeyFileError("replace needs --repository and --role.")
    if args.old and len(args.role) > 1:
        raise KeyFileError("--old names one key; replace the keys of one role at a time.")
    repository = Repository(args.repository)
    changed: dict[str, None] = {}
    done = []
    for role in args.role:
        old = repository.only_key(role, args.old or "")
        passphrase = None
        if args.encrypt and role in ("root", "targets"):
            passphrase = _new_passphrase("the new key")
        key = make_key(args.keys[0], role, passphrase).public_key
        changed |= dict.fromkeys(repository.replace_key(role, old=old, new=key))
        done.append(f"{role}: {old[:8]} counts no more, {key.keyid[:8]} does.")
    repository.commit(KeyRing(args.keys, ask_passphrase), *changed)
    print("\n".join(done))
    print("Publish it now: voice-converters publish push")
    return 0
