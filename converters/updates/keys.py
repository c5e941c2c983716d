"""Private keys in folders: Ed25519, one file each, readable by nobody else, encrypted if wanted.

A key's file is `<role>-<first 8 digits of its id>.pem`. Which keys count is not decided here: the
root metadata name them by id, and `KeyRing` looks for their files in all folders it was given.
So root keys may lie on two USB sticks in two drawers, and a new key beside an old one.

Roles at the beginning, and how many signatures they need:

    root       2 of 3   names all other keys; stays offline
    targets    2 of 2   names the roles of models; stays offline
    snapshot   1 of 1   on the machine that publishes
    timestamp  1 of 1   on the machine that publishes; signs daily
    <model>-<hardware>  1 of 1   made with the first release for these boards
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from converters.updates.errors import KeyFileError

FIRST_KEYS = {"root": 3, "targets": 2, "snapshot": 1, "timestamp": 1}
THRESHOLDS = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1}

_FILE = re.compile(r"(?P<role>[A-Za-z0-9][A-Za-z0-9._-]*)-(?P<id>[0-9a-f]{8})\.pem")
_LARGEST_FILE = 16 * 1024  # bytes


@dataclass(frozen=True)
class KeyFile:
    """A private key on disk, not opened."""

    path: Path
    role: str
    short_id: str
    """The first 8 digits of its id."""


def make_key(folder: Path, role: str, passphrase: bytes | None = None) -> CryptoSigner:
    """Makes a key and stores it.

    Args:
        folder: Where; made, for the owner only, if missing.
        role: What it will sign.
        passphrase: Encrypts the file; None leaves it plain.

    Returns:
        The key, ready to sign.

    Raises:
        KeyFileError: It cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    content = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    path = folder / f"{role}-{signer.public_key.keyid[:8]}.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be written ({error.strerror}); choose another folder."
        ) from error
    return signer


def first_keys(folder: Path, passphrase: bytes | None = None) -> None:
    """Makes all keys that a repository begins with.

    Args:
        folder: Where.
        passphrase: Encrypts those that stay offline; the online ones must work unattended.

    Raises:
        KeyFileError: They cannot be written.
    """
    for role, count in FIRST_KEYS.items():
        secret = passphrase if role in ("root", "targets") else None
        for _ in range(count):
            make_key(folder, role, secret)


def key_files(folders: Iterable[Path]) -> list[KeyFile]:
    """All keys in some folders, by role and id."""
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.pem")):
            if match := _FILE.fullmatch(path.name):
                found.append(KeyFile(path, match["role"], match["id"]))
    return sorted(found, key=lambda file: (file.role, file.short_id))


class KeyRing:
    """Finds the keys that count, and opens them only when they are needed.

    Args:
        folders: Where keys lie.
        passphrase: Asked, with a file, when it is encrypted.
    """

    def __init__(
        self, folders: Sequence[Path], passphrase: Callable[[Path], bytes] | None = None
    ) -> None:
        self._folders = folders
        self._passphrase = passphrase
        self._opened: dict[Path, CryptoSigner] = {}

    def first_public_keys(self) -> dict[str, dict[str, Any]]:
        """The public halves of the keys that a repository begins with, by role and id.

        Raises:
            KeyFileError: They are not all there.
        """
        keys: dict[str, dict[str, Any]] = {role: {} for role in FIRST_KEYS}
        for file in key_files(self._folders):
            if file.role in keys:
                key = self._open(file.path).public_key
                keys[file.role][key.keyid] = key
        for role, count in FIRST_KEYS.items():
            if len(keys[role]) != count:
                raise KeyFileError(
                    f"A repository begins with {count} keys for {role} and {len(keys[role])} were"
                    " found; make them with: voice-converters keys make"
                )
        return keys

    def signers(self, role: str, key_ids: Iterable[str], threshold: int) -> list[CryptoSigner]:
        """The keys that sign a role.

        Args:
            role: Its name, for messages.
            key_ids: The keys that count for it.
            threshold: How many of them are needed.

        Returns:
            All that were found.

        Raises:
            KeyFileError: Too few were found, or one cannot be opened.
        """
        wanted = set(key_ids)
        short = {key_id[:8] for key_id in wanted}
        found: dict[str, CryptoSigner] = {}
        for file in key_files(self._folders):
            if file.short_id in short:
                signer = self._open(file.path)
                if signer.public_key.keyid in wanted:
                    found[signer.public_key.keyid] = signer
        if len(found) < threshold:
            names = ", ".join(sorted(short))
            raise KeyFileError(
                f"{role} needs {threshold} of the keys {names} and {len(found)} were found; name"
                " the folders with --keys, which may be repeated."
            )
        return [found[key_id] for key_id in sorted(found)]

    def _open(self, path: Path) -> CryptoSigner:
        if path not in self._opened:
            self._opened[path] = _load(path, self._passphrase)
        return self._opened[path]


def _load(path: Path, passphrase: Callable[[Path], bytes] | None) -> CryptoSigner:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others; run: chmod 600 {path}")
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE)
        secret = None
        if b"ENCRYPTED" in content:
            if passphrase is None:
                raise KeyFileError(f"{path} is encrypted; give its passphrase.")
            secret = passphrase(path)
        private = serialization.load_pem_private_key(content, secret)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path} cannot be opened; is the passphrase right?") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is not an Ed25519 key; make one with voice-converters keys.")
    return CryptoSigner(private)
