"""Manifest version 1: what a model bundle says about itself, checked field by field.

The manifest is JSON that will be signed, so it holds no floating-point numbers: ratios are in
permille, lengths in samples or in frames of 40 ms. It names every file of the bundle with its role,
size and SHA-256. Keys and roles that are not known here are ignored, so that later heads need no
new version; a manifest of another version is refused.

This module turns bytes into frozen dataclasses and back. It opens no file; `agent.bundle.manifest`
does.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from agent.errors import ManifestError
from agent.records import RecordError, plain, read_record

VERSION = 1
LARGEST_MANIFEST = 1024 * 1024  # bytes
LARGEST_FILE = 64 * 1024 * 1024  # bytes
LARGEST_BUNDLE = 256 * 1024 * 1024  # bytes
MOST_FILES = 1024

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_NUMBER = {"minimum": 0}
_PERMILLE = {"minimum": 0, "maximum": 1000}


def _frames(default: int, most: int = 250) -> Any:
    return field(default=default, metadata={"minimum": 0, "maximum": most})


@dataclass(frozen=True, kw_only=True)
class FeatureEntry:
    """The features that the models were trained on; must be the agent's."""

    rate: int
    """Samples per second."""
    window: int
    """Samples under one analysis window."""
    hop: int
    """Samples between two feature vectors."""
    mels: int
    stack: int
    """Hops in one frame."""
    norm: str
    """How frames are normalised before the models; `none` is all there is so far."""
    version: int
    """`agent.hearing.features.FEATURES_VERSION` at the time of training."""


@dataclass(frozen=True, kw_only=True)
class TokenEntry:
    """What the joiner's outputs mean; the tokens themselves are in the file of role `tokens`."""

    kind: str = field(default="characters", metadata={"choices": ("characters",)})
    blank: int = field(default=0, metadata=_NUMBER)
    """Index of the blank."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of the bundle."""

    path: str
    """Relative to the bundle, with forward slashes."""
    role: str
    bytes: int = field(metadata={"minimum": 0, "maximum": LARGEST_FILE})
    sha256: str
    unpacked_sha256: str | None = None
    """Of the unpacked content, where `sha256` is that of a packed file."""
    optional: bool = False
    """The bundle also works without it."""


@dataclass(frozen=True, kw_only=True)
class LayoutEntry:
    """Where one int8 matrix and its row scales lie in a file: what weight diffs address."""

    file: str
    tensor: str
    """Its name; `/4` behind it says that its integers have four bits. An overlay that was made
    for eight does not fit then: its steps would be far too long."""
    offset: int = field(metadata=_NUMBER)
    """First byte of the matrix, int8 [rows, cols]. Of a packed file: once it is inflated."""
    rows: int = field(metadata={"minimum": 1})
    cols: int = field(metadata={"minimum": 1})
    scale_offset: int = field(metadata=_NUMBER)
    """First byte of the scales, float32 [rows]."""


@dataclass(frozen=True, kw_only=True)
class WakeEntry:
    """A wake word and how its model's scores are judged."""

    phrase: str
    """In lower case, as the recogniser would write it."""
    file: str
    threshold: int = field(metadata=_PERMILLE)
    """Smoothed score that counts as heard, in permille."""
    smoothing: int = field(default=3, metadata={"minimum": 1, "maximum": 50})
    """Frames over which the score is averaged."""
    refractory: int = _frames(25, 750)
    """Frames after a detection in which the word cannot be detected again."""
    second_stage: int | None = field(default=None, metadata=_PERMILLE)
    """Least agreement of the recogniser, in permille; null: not asked."""
    latency: int = _frames(2, 10)
    """Frames from the end of the word to the frame in which the smoothed score crosses."""
    length: int = field(default=15, metadata={"minimum": 1, "maximum": 60})
    """Frames that the word lasts, typically."""


@dataclass(frozen=True, kw_only=True)
class DecoderEntry:
    """Defaults of the decoder."""

    max_symbols: int = field(default=10, metadata={"minimum": 1, "maximum": 100})
    """Most tokens that one frame may give."""
    beam: int = field(default=1, metadata={"minimum": 1, "maximum": 64})
    """Readings that are followed at the same time; 1: the best label in every frame."""
    language_permille: int = field(default=0, metadata={"minimum": 0, "maximum": 5000})
    """How much the language model counts beside the transducer, if there is one."""


@dataclass(frozen=True, kw_only=True)
class SelftestEntry:
    """A recording that ships and what must be understood of it."""

    path: str
    text: str
    """Without the wake word."""
    wake: str | None = None
    """The phrase it begins with, if any."""
    voice: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrialEntry:
    """Limits that a release on trial must keep, measured on the self-test."""

    word_errors: int | None = field(default=None, metadata=_NUMBER)
    """Word error rate in permille."""
    wake_misses: int | None = field(default=None, metadata=_PERMILLE)


@dataclass(frozen=True, kw_only=True)
class ProvenanceEntry:
    """Where the models come from."""

    commit: str | None = None
    seed: int | None = None
    data_sha256: str | None = None
    """Of the definition of the training data."""
    voices: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole manifest; see the module's text."""

    manifest: int
    name: str
    languages: tuple[str, ...]
    release: int = field(metadata=_NUMBER)
    model: str
    """The architecture in a word, such as `lstm4x320`."""
    hw: tuple[str, ...] = ()
    """Machines it is meant for; empty: any."""
    min_agent: str = "0.0.0"
    created: str
    features: FeatureEntry
    tokens: TokenEntry
    files: tuple[FileEntry, ...]
    layout: tuple[LayoutEntry, ...] = ()
    layout_sha256: str | None = None
    """`layout_hash` of `layout`."""
    wake: tuple[WakeEntry, ...] = ()
    decoder: DecoderEntry = field(default_factory=DecoderEntry)
    selftest: tuple[SelftestEntry, ...] = ()
    trial: TrialEntry = field(default_factory=TrialEntry)
    provenance: ProvenanceEntry = field(default_factory=ProvenanceEntry)

    def find(self, path: str) -> FileEntry | None:
        """The entry of a file."""
        return next((entry for entry in self.files if entry.path == path), None)


def parse_manifest(content: bytes) -> Manifest:
    """Reads and checks a manifest.

    Args:
        content: The bytes of `manifest.json`, from wherever.

    Returns:
        The manifest; what it says is consistent, but nothing is known yet about the files.

    Raises:
        ManifestError: It is not a manifest of version 1, or something in it is not allowed; the
            message names the key.
    """
    if len(content) > LARGEST_MANIFEST:
        raise ManifestError(f"The manifest is longer than {LARGEST_MANIFEST} bytes.")
    try:
        table = json.loads(content.decode())
    # Deep nesting overflows the parser's stack, and huge integers its limit of digits.
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"The manifest is not JSON ({error}).") from error
    if not isinstance(table, dict) or "manifest" not in table:
        raise ManifestError("The manifest is not a JSON object with the key `manifest`.")
    version = table["manifest"]
    if type(version) is not int or version != VERSION:
        raise ManifestError(
            f"The manifest has version {str(version)[:40]!r}, this agent reads version {VERSION};"
            " update the agent."
        )
    try:
        manifest = read_record(Manifest, table, unknown_keys=True)
    except RecordError as error:
        raise ManifestError(f"The manifest is broken: {error}.") from error
    problem = _inconsistency(manifest)
    if problem:
        raise ManifestError(f"The manifest is broken: {problem}.")
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    """A manifest as JSON: the same manifest always gives the same bytes.

    Args:
        manifest: The manifest.

    Returns:
        UTF-8 with sorted keys and a newline at the end.

    Raises:
        ManifestError: `parse_manifest` would refuse it.
    """
    text = json.dumps(plain(manifest), indent=1, sort_keys=True, ensure_ascii=False)
    content = (text + "\n").encode()
    parse_manifest(content)
    return content


def layout_hash(layout: tuple[LayoutEntry, ...]) -> str:
    """SHA-256, as hexadecimal digits, of a layout's canonical JSON."""
    text = json.dumps(plain(layout), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def safe_path(path: str) -> bool:
    """True for a relative path of plain names that stays inside the bundle."""
    parts = path.split("/")
    return len(path) <= 200 and all(_COMPONENT.fullmatch(part) for part in parts)


def version_tuple(version: str) -> tuple[int, ...] | None:
    """`"1.2.3"` as (1, 2, 3); None if it is no such version."""
    parts = version.split(".")
    if not 1 <= len(parts) <= 4 or not all(
        p.isascii() and p.isdigit() and len(p) < 9 for p in parts
    ):
        return None
    return tuple(int(part) for part in parts)


def _inconsistency(manifest: Manifest) -> str | None:
    if not _COMPONENT.fullmatch(manifest.name):
        return "name: may hold letters, digits, dots, dashes and underscores"
    if version_tuple(manifest.min_agent) is None:
        return "min_agent: must be a version such as 0.1.0"
    if not _CREATED.fullmatch(manifest.created):
        return "created: must be a UTC time such as 2026-01-31T12:00:00Z"
    if len(manifest.files) > MOST_FILES:
        return f"files: has more than {MOST_FILES} entries"
    if sum(entry.bytes for entry in manifest.files) > LARGEST_BUNDLE:
        return f"files: hold more than {LARGEST_BUNDLE} bytes together"
    paths = {entry.path for entry in manifest.files}
    if len({path.lower() for path in paths}) != len(manifest.files):
        return "files: a path occurs twice"
    for entry in manifest.files:
        if not safe_path(entry.path) or entry.path == "manifest.json":
            return f"files: {entry.path[:60]!r} is not a path inside the bundle"
        # A file cannot also be the directory of another.
        if any(str(parent) in paths for parent in PurePosixPath(entry.path).parents):
            return f"files: {entry.path[:60]!r} lies below another file"
        for digest in (entry.sha256, entry.unpacked_sha256):
            if digest is not None and not _SHA256.fullmatch(digest):
                return f"files: {entry.path} needs a SHA-256 of 64 lower-case hexadecimal digits"
    sizes = {entry.path: entry.bytes for entry in manifest.files}
    for matrix in manifest.layout:
        size = sizes.get(matrix.file)
        if size is None:
            return f"layout: {matrix.file[:60]!r} is not among the files"
        # A packed file is smaller than what its layout addresses.
        packed = any(e.path == matrix.file and e.unpacked_sha256 for e in manifest.files)
        end = max(matrix.offset + matrix.rows * matrix.cols, matrix.scale_offset + 4 * matrix.rows)
        if end > (LARGEST_FILE if packed else size):
            return f"layout: {matrix.tensor[:60]!r} reaches beyond the end of {matrix.file}"
    if manifest.layout_sha256 is not None and manifest.layout_sha256 != layout_hash(
        manifest.layout
    ):
        return "layout_sha256: is not the hash of layout"
    for word in manifest.wake:
        if word.file not in paths:
            return f"wake: {word.file[:60]!r} is not among the files"
        if not word.phrase.strip():
            return "wake: a phrase is empty"
    for clip in manifest.selftest:
        if clip.path not in paths:
            return f"selftest: {clip.path[:60]!r} is not among the files"
    return None
