"""A model bundle on disk: loaded with every file checked, written by the exporter.

    bundle = load_bundle(factory_bundle())
    model = load_model(bundle, bundle.file("encoder_slow"))

A bundle is whole or refused: sizes and SHA-256 sums of all files are compared with the manifest
before anything is run from it. The dataclasses of the manifest are in `agent.bundle.schema`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import __version__
from agent.bundle.packed import inflate, is_packed
from agent.bundle.schema import (
    LARGEST_FILE,
    LARGEST_MANIFEST,
    VERSION,
    DecoderEntry,
    FeatureEntry,
    FileEntry,
    LayoutEntry,
    Manifest,
    ProvenanceEntry,
    SelftestEntry,
    TokenEntry,
    TrialEntry,
    WakeEntry,
    layout_hash,
    manifest_bytes,
    parse_manifest,
    version_tuple,
)
from agent.errors import BundleFileError, ManifestError
from agent.hearing import features

__all__ = [
    "MANIFEST",
    "Bundle",
    "DecoderEntry",
    "FeatureEntry",
    "FileEntry",
    "LayoutEntry",
    "Manifest",
    "ProvenanceEntry",
    "SelftestEntry",
    "TokenEntry",
    "TrialEntry",
    "WakeEntry",
    "agent_features",
    "load_bundle",
    "write_manifest",
]

MANIFEST = "manifest.json"

_ROLES = {
    "encoder_slow.tflite": "encoder_slow",
    "encoder_fast.tflite": "encoder_fast",
    "arbitrator.tflite": "arbitrator",
    "predictor.tflite": "predictor",
    "joiner.tflite": "joiner",
    "tokens.txt": "tokens",
    "language.npz": "language",
    "CARD.md": "card",
}
_CHUNK = 1 << 20  # bytes hashed at a time


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest was read and whose files were checked."""

    directory: Path
    manifest: Manifest

    def path(self, role: str) -> Path:
        """The file of a role; see `agent.bundle.loading` for models, which may be packed.

        Raises:
            BundleFileError: The bundle has no such file.
        """
        return self.directory / self.file(role)

    def file(self, role: str) -> str:
        """The path of a role's file, relative to the bundle.

        Raises:
            BundleFileError: The bundle has no such file.
        """
        for entry in self.manifest.files:
            if entry.role == role and (self.directory / entry.path).is_file():
                return entry.path
        raise BundleFileError(
            f"The bundle {self.directory} has no file of the role {role!r}; choose another bundle."
        )

    def tokens(self) -> tuple[str, ...]:
        """The tokens by index; `<space>` is already a space.

        Raises:
            BundleFileError: The file is missing, or is not a list of different tokens.
        """
        path = self.path("tokens")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BundleFileError(
                f"{path} cannot be read ({error}); restore the bundle."
            ) from error
        if len(lines) <= self.manifest.tokens.blank or len(set(lines)) != len(lines):
            raise BundleFileError(f"{path} does not list different tokens; restore the bundle.")
        return tuple(" " if line == "<space>" else line for line in lines)

    def macs_per_frame(self, file: str = "encoder_slow.tflite") -> int | None:
        """Multiplications of one frame through a model, from the layout; None without a layout."""
        total = sum(m.rows * m.cols for m in self.manifest.layout if m.file == file)
        return total or None


def load_bundle(directory: Path, *, verify: bool = True) -> Bundle:
    """Opens a bundle.

    Args:
        directory: Where `manifest.json` is.
        verify: Compare every file with its size and SHA-256. Without it only the presence of the
            files is checked.

    Returns:
        The bundle, fit for this agent.

    Raises:
        ManifestError: The manifest is missing, broken, of an unknown version, or made for other
            features or a newer agent.
        BundleFileError: A file is missing, truncated or altered.
    """
    path = directory / MANIFEST
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_MANIFEST + 1)
    except OSError as error:
        raise ManifestError(
            f"{directory} is not a model bundle: {MANIFEST} cannot be read ({error.strerror});"
            " name a directory that holds one."
        ) from error
    try:
        manifest = parse_manifest(content)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error
    _check_fit(manifest, path)
    for entry in manifest.files:
        _check_file(directory, entry, verify=verify)
    return Bundle(directory, manifest)


def agent_features() -> FeatureEntry:
    """The features of this agent, as a manifest describes them."""
    return FeatureEntry(
        rate=features.SAMPLE_RATE,
        window=features.WINDOW,
        hop=features.HOP,
        mels=features.MELS,
        stack=features.HOPS_PER_FRAME,
        norm="none",
        version=features.FEATURES_VERSION,
    )


def write_manifest(
    directory: Path,
    *,
    name: str,
    languages: Sequence[str],
    release: int,
    model: str,
    hw: Sequence[str] = (),
    min_agent: str = __version__,
    tokens: TokenEntry | None = None,
    layout: Sequence[LayoutEntry] = (),
    wake: Sequence[WakeEntry] = (),
    decoder: DecoderEntry | None = None,
    selftest: Sequence[SelftestEntry] = (),
    trial: TrialEntry | None = None,
    provenance: ProvenanceEntry | None = None,
    roles: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
) -> Manifest:
    """Writes `manifest.json` for the files that lie in a directory.

    Every file below the directory becomes an entry, with its size, its SHA-256 (of a packed model
    also that of what it inflates to) and a role that follows from its path: `wake/*` is `wake`,
    `selftest/*` is `selftest`, the well-known names have their own, and everything else is `other`.
    The same files always give the same manifest, if
    `SOURCE_DATE_EPOCH` says when it was made; without it that is now.

    Args:
        directory: The bundle, with all its other files in place.
        name: Name of the bundle, such as `command_en`.
        languages: Language codes.
        release: Number of this release.
        model: The architecture in a word.
        hw: Machines it is meant for; empty for any.
        min_agent: Oldest agent that can run it.
        tokens: Kind and blank of the tokens; characters and 0 by default.
        layout: Where the int8 matrices are, in file order.
        wake: The wake words.
        decoder: Defaults of the decoder.
        selftest: The recordings and their texts.
        trial: Limits for a trial.
        provenance: Where the models come from.
        roles: Roles that do not follow from the path, by path.
        optional: Paths that the bundle works without.

    Returns:
        What was written.

    Raises:
        ManifestError: The manifest would be refused by `load_bundle`.
        BundleFileError: A file cannot be read.
    """
    files = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        relative = path.relative_to(directory).as_posix()
        if relative == MANIFEST or path.name.startswith("."):
            continue
        size, digest = _digest(path)
        role = (roles or {}).get(relative) or _role(relative)
        files.append(
            FileEntry(
                path=relative,
                role=role,
                bytes=size,
                sha256=digest,
                unpacked_sha256=_unpacked_digest(path),
                optional=relative in optional,
            )
        )
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = time.gmtime(int(epoch) if epoch else None)
    manifest = Manifest(
        manifest=VERSION,
        name=name,
        languages=tuple(languages),
        release=release,
        model=model,
        hw=tuple(hw),
        min_agent=min_agent,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        features=agent_features(),
        tokens=tokens or TokenEntry(),
        files=tuple(files),
        layout=tuple(layout),
        layout_sha256=layout_hash(tuple(layout)) if layout else None,
        wake=tuple(wake),
        decoder=decoder or DecoderEntry(),
        selftest=tuple(selftest),
        trial=trial or TrialEntry(),
        provenance=provenance or ProvenanceEntry(),
    )
    _replace(directory / MANIFEST, manifest_bytes(manifest))
    return manifest


def _check_fit(manifest: Manifest, path: Path) -> None:
    if manifest.features != agent_features():
        raise ManifestError(
            f"{path}: the models expect other features than this agent computes"
            f" (version {manifest.features.version}, here {features.FEATURES_VERSION});"
            " update the agent or the bundle."
        )
    needed, own = version_tuple(manifest.min_agent), version_tuple(__version__)
    if needed is not None and own is not None and needed > own:
        raise ManifestError(
            f"{path}: the bundle needs agent {manifest.min_agent} and this is {__version__};"
            " update the agent."
        )


def _check_file(directory: Path, entry: FileEntry, *, verify: bool) -> None:
    path = directory / entry.path
    if not path.is_file():
        if entry.optional:
            return
        raise BundleFileError(f"{path} is missing; restore the bundle.")
    size = path.stat().st_size
    if size != entry.bytes:
        raise BundleFileError(
            f"{path} has {size} bytes instead of {entry.bytes}; restore the bundle."
        )
    if verify and _digest(path)[1] != entry.sha256:
        raise BundleFileError(f"{path} was altered: its SHA-256 differs; restore the bundle.")


def _digest(path: Path) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                digest.update(chunk)
                if size > LARGEST_FILE:
                    raise BundleFileError(f"{path} is larger than {LARGEST_FILE} bytes.")
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}); restore the bundle."
        ) from error
    return size, digest.hexdigest()


def _unpacked_digest(path: Path) -> str | None:
    """SHA-256 of what a packed file inflates to; None for any other file."""
    with path.open("rb") as stream:
        if not is_packed(stream.read(_CHUNK)):
            return None
    return hashlib.sha256(inflate(path.read_bytes(), str(path))).hexdigest()


def _role(path: str) -> str:
    if path in _ROLES:
        return _ROLES[path]
    top = path.partition("/")[0]
    return top if top in ("wake", "selftest") and "/" in path else "other"


def _replace(path: Path, content: bytes) -> None:
    """Writes a file so that a power cut leaves the old one or the new one, never half of one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
