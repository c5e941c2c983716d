"""What is signed about a release, beyond its length and hash.

The metadata of a release are those of The Update Framework: a target with a path, a length and a
SHA-256. What a board needs to know besides is in the target's `custom` table, which the same keys
sign:

    "command_en/any/7-from-6.diff": {
      "length": 18381, "hashes": {"sha256": "..."},
      "custom": {
        "schema": 1, "release": 7, "name": "command_en 7", "format": "diff",
        "model": "command_en", "hardware": "any", "minimum_agent": "0.1.0",
        "base_sha256": "...", "result_sha256": "...", "result_bytes": 5267648,
        "chunk": 32768, "mirror": "",
        "share_permille": 1000, "halted": false,
        "trial": {"word_error_permille": 100, "latency_permille": 1250, "memory_mb": 256,
                  "seconds": 300}
      }
    }

Signed JSON holds no fractions, so ratios are in permille. `base_sha256` and `result_sha256` are
bundle digests (see `agent.update.bundle_files`): one hash over paths, lengths and hashes of every
file. Keys that are not known are refused; a table of another schema belongs to a newer agent.

Nothing here opens a file or a socket, or needs the framework itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.bundle.schema import LARGEST_BUNDLE, version_tuple
from agent.errors import (
    AgentTooOldError,
    BelowFloorError,
    MetadataError,
    WrongBaseError,
    WrongHardwareError,
    WrongModelError,
)
from agent.records import RecordError, plain, read_record

SCHEMA = 1
ANY_HARDWARE = "any"
DEFAULT_CHUNK = 32 * 1024  # bytes
LARGEST_CHUNK = 64 * 1024  # bytes, what every broker that we know of accepts
LARGEST_TARGET = LARGEST_BUNDLE + 4 * 1024 * 1024  # bytes; a full image has headers between files
LARGEST_RELEASE = (1 << 31) - 1

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HARDWARE = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,79}")
_MIRROR = re.compile(
    r"https://[A-Za-z0-9.:\[\]-]{1,128}(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}){0,8}/"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class TrialLimits:
    """What a release must keep on the bundle's self-test before it may be used."""

    word_error_permille: int = field(default=1000, metadata={"minimum": 0, "maximum": 10_000})
    """Highest word error rate."""
    latency_permille: int = field(default=1500, metadata={"minimum": 1, "maximum": 100_000})
    """Longest time to recognise, in thousandths of what the base needs on the same board."""
    memory_mb: int = field(default=256, metadata={"minimum": 1, "maximum": 1 << 20})
    """Most resident memory."""
    seconds: int = field(default=300, metadata={"minimum": 1, "maximum": 86_400})
    """Longest duration of the whole trial."""


@dataclass(frozen=True, kw_only=True)
class Custom:
    """The `custom` table of a target."""

    schema: int = SCHEMA
    release: int = field(metadata={"minimum": 1, "maximum": LARGEST_RELEASE})
    """Number of the release; only ever counts up."""
    name: str
    """For people."""
    format: str = field(metadata={"choices": ("diff", "full")})
    """`diff`: see `agent.update.diff_format`; `full`: a tar of the bundle, plain or xz."""
    model: str
    """The bundle's name."""
    hardware: str
    """The machines it is meant for, in a word; `any` for all."""
    minimum_agent: str
    base_sha256: str = ""
    """Digest of the bundle that a diff changes; empty for a full image."""
    result_sha256: str
    """Digest of the bundle that comes out."""
    result_bytes: int = field(metadata={"minimum": 1, "maximum": LARGEST_BUNDLE})
    chunk: int = field(default=DEFAULT_CHUNK, metadata={"minimum": 1024, "maximum": LARGEST_CHUNK})
    """Bytes of each part on the broker but the last."""
    mirror: str = ""
    """Where the file lies if not on the broker: a URL that ends in a slash."""
    share_permille: int = field(default=1000, metadata={"minimum": 0, "maximum": 1000})
    """Share of the fleet that takes it."""
    halted: bool = False
    """True while nobody may begin to install it."""
    trial: TrialLimits = field(default_factory=TrialLimits)


@dataclass(frozen=True, kw_only=True)
class Release(Custom):
    """A way to get a release: one target and what is signed about it."""

    target: str
    """The path in the repository: model, hardware and file."""
    length: int
    """Bytes to receive."""
    sha256: str
    """Of these bytes."""

    def meant_for(self, device: str) -> bool:
        """Whether a board belongs to the share of the fleet that takes it, and it is not halted.

        Every board decides for itself, differently for each release, and always the same way: who
        is in at 10 permille is still in at 100.

        Args:
            device: The board's id.

        Returns:
            True if it may be installed there.
        """
        seed = f"voice-agent share\0{self.model}\0{self.release}\0{device}".encode()
        draw = int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") * 1000 >> 64
        return draw < self.share_permille and not self.halted

    @property
    def file(self) -> str:
        """The name on the broker or the mirror."""
        return f"{self.sha256}.{self.target.rpartition('/')[2]}"


def parse_release(target: str, length: object, sha256: object, custom: object) -> Release:
    """Reads what was signed about a target.

    Args:
        target: Its path.
        length: Its length.
        sha256: Its hash.
        custom: Its table.

    Returns:
        The release; everything in it is of its type, in its range, and fits together.

    Raises:
        MetadataError: Something is missing, unknown or not allowed; the message names it.
    """
    if not isinstance(custom, dict):
        raise MetadataError(f"{target[:80]!r} has no table `custom`; publish it again.")
    if custom.get("schema") != SCHEMA or type(custom["schema"]) is not int:
        raise MetadataError(f"{target[:80]!r} is described in a newer way; update the agent.")
    try:
        read = read_record(Custom, custom)
    except RecordError as error:
        raise MetadataError(f"{target[:80]!r}: custom.{error}; publish it again.") from error
    problem = _inconsistency(read, target, length, sha256)
    if problem:
        raise MetadataError(f"{target[:80]!r}: {problem}; publish it again.")
    assert isinstance(length, int)
    assert isinstance(sha256, str)
    values = {name: getattr(read, name) for name in read.__dataclass_fields__}
    return Release(**values, target=target, length=length, sha256=sha256)


def custom_table(custom: Custom) -> dict[str, Any]:
    """The table to be signed.

    Args:
        custom: What it says; of a release, what belongs to the target itself is left out.

    Returns:
        Plain numbers, words and tables.
    """
    table: dict[str, Any] = plain(custom)
    return {name: table[name] for name in Custom.__dataclass_fields__}


def check_fit(
    release: Release,
    *,
    model: str,
    hardware: str,
    agent: str,
    floor: int,
    base_sha256: str | None,
) -> None:
    """Refuses a genuine release that is not for this board as it is.

    Args:
        release: The release.
        model: Name of the bundle in use.
        hardware: This machine.
        agent: Version of this agent.
        floor: Lowest release that may be installed.
        base_sha256: Digest of the bundle in use; None where it is not known yet, then the base is
            not compared.

    Raises:
        UnfitError: One of its kinds, that says what differs.
    """
    what = f"Release {release.release}"
    if release.model != model:
        raise WrongModelError(
            f"{what} is for the bundle {release.model} and this board runs {model}; ask for the"
            " right one."
        )
    if release.hardware not in (ANY_HARDWARE, hardware):
        raise WrongHardwareError(
            f"{what} is for {release.hardware} and this board is {hardware}; ask for the right one."
        )
    needed, own = version_tuple(release.minimum_agent), version_tuple(agent)
    if needed is not None and own is not None and needed > own:
        raise AgentTooOldError(
            f"{what} needs agent {release.minimum_agent} and this is {agent}; update the agent."
        )
    if release.release < floor:
        raise BelowFloorError(
            f"{what} is below this board's floor {floor}; publish it again under a higher number."
        )
    if release.format == "diff" and base_sha256 is not None and release.base_sha256 != base_sha256:
        raise WrongBaseError(
            f"{what} is a diff from another bundle than the one in use; take the full image."
        )


def role_name(model: str, hardware: str) -> str:
    """The role whose key signs the releases of a model for a machine.

    Args:
        model: The bundle's name.
        hardware: The machine.

    Returns:
        Its name; a machine's holds no dash, so the two cannot be mistaken.

    Raises:
        MetadataError: One of them cannot be part of a path.
    """
    if not _MODEL.fullmatch(model):
        raise MetadataError(f"{model[:80]!r} cannot be a model's name; use letters and digits.")
    if not _HARDWARE.fullmatch(hardware):
        raise MetadataError(
            f"{hardware[:80]!r} cannot name a machine; use small letters, digits and underscores."
        )
    return f"{model}-{hardware}"


def newest_first(releases: Iterable[Release]) -> list[Release]:
    """Sorts ways to get releases: the newest release, and for each the smallest file, first."""
    return sorted(releases, key=lambda r: (-r.release, r.hardware == ANY_HARDWARE, r.length))


def _inconsistency(read: Custom, target: str, length: object, sha256: object) -> str | None:
    parts = target.split("/")
    if len(parts) != 3 or not _FILE.fullmatch(parts[2]):
        return "the path is not MODEL/HARDWARE/FILE"
    if not _MODEL.fullmatch(read.model) or not _HARDWARE.fullmatch(read.hardware):
        return "custom.model or custom.hardware is not a plain name"
    if (read.model, read.hardware) != (parts[0], parts[1]):
        return "the path names another model or machine than custom does"
    if type(length) is not int or not 0 < length <= LARGEST_TARGET:
        return f"the length must be 1 to {LARGEST_TARGET}"
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return "it has no SHA-256"
    if not _TITLE.fullmatch(read.name):
        return "custom.name must be 1 to 80 letters, digits, spaces, dots and dashes"
    if version_tuple(read.minimum_agent) is None:
        return "custom.minimum_agent must be a version such as 0.1.0"
    if not _SHA256.fullmatch(read.result_sha256):
        return "custom.result_sha256 is not a SHA-256"
    if read.format == "diff" and not _SHA256.fullmatch(read.base_sha256):
        return "a diff needs custom.base_sha256"
    if read.format == "full" and read.base_sha256:
        return "a full image has no base"
    if read.mirror and not _MIRROR.fullmatch(read.mirror):
        return "custom.mirror must begin with https:// and end with a slash"
    return None
