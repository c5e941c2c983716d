"""Makes a release from a bundle: a full image for everybody, diffs for boards not far back.

A bundle's manifest says its release, which must be above every earlier one for the same boards.
Diffs start from the last few releases, each directly, because a chain of diffs is larger than one
(`--diffs`). What is not smaller than the full image is not kept. The bundle itself is kept as well:
later diffs start from it.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from agent.bundle.manifest import Bundle, load_bundle
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.release import (
    ANY_HARDWARE,
    Custom,
    Release,
    TrialLimits,
    custom_table,
    parse_release,
    role_name,
)
from converters.updates.diff_maker import make_diff
from converters.updates.errors import PublishError
from converters.updates.image_writer import write_image
from converters.updates.kept_bundles import forget_bundles, keep_bundle, kept_bundles
from converters.updates.keys import KeyRing
from converters.updates.repository import Repository

_KEPT_RELEASES = 2  # on offer: while the newest is halted, boards far back may still get the other


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a release is offered."""

    hardware: str = ANY_HARDWARE
    share_permille: int = 1000
    diffs: int = 3
    """From how many releases back diffs are made."""
    mirror: str = ""
    """Where the full image is fetched from instead of the broker; empty: the broker."""
    trial: TrialLimits = dataclasses.field(default_factory=TrialLimits)


@dataclass(frozen=True)
class Made:
    """A target that was made."""

    path: str
    length: int


def add_release(
    repository: Repository,
    ring: KeyRing,
    directory: Path,
    terms: Terms,
    *,
    new_role_key: Callable[[str], Any],
) -> list[Made]:
    """Adds the release of a bundle and signs it.

    Args:
        repository: Where to.
        ring: The keys: the role's, the online ones, and for a model's first release `targets`.
        directory: The bundle.
        terms: How it is offered.
        new_role_key: Makes the key of a role that does not exist yet, and gives its public half.

    Returns:
        What was made; the full image first.

    Raises:
        PublishError: The bundle's release is not new, or keys are missing.
        BundleError: The bundle is broken.
        DiffError: A diff cannot be made.
    """
    bundle = load_bundle(directory)
    manifest = bundle.manifest
    role = role_name(manifest.name, terms.hardware)
    if manifest.hw and terms.hardware not in manifest.hw:
        raise PublishError(
            f"The manifest of {directory} names the machines {', '.join(manifest.hw)}; publish with"
            " --hardware for one of them."
        )
    changed = [role]
    if role not in repository.roles:
        repository.delegate(manifest.name, terms.hardware, new_role_key(role))
        changed = ["targets", role]
    newest = max((r.release for r in releases_of(repository, role)), default=0)
    if manifest.release <= newest:
        raise PublishError(
            f"{directory} is release {manifest.release} and {newest} is published already; export"
            " it with a higher number."
        )
    with tempfile.TemporaryDirectory(dir=repository.folder, prefix=".making-") as folder:
        made = _make_targets(repository, bundle, terms, role, Path(folder))
        targets = repository.roles[role].signed.targets
        for file, target in made:
            path = repository.target_path(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, path)
            targets[target.path] = target
    keep_bundle(repository.folder, bundle, role)
    _withdraw_old(repository, role)
    # What boards may still be told of is removed when the new metadata count, not before.
    repository.commit(ring, *changed)
    _remove_unlisted(repository)
    forget_bundles(repository.folder, role, max(terms.diffs, _KEPT_RELEASES))
    return [Made(target.path, target.length) for _, target in made]


def releases_of(repository: Repository, role: str) -> list[Release]:
    """What a role offers.

    Raises:
        MetadataError: A target is not described as this version does.
    """
    if role not in repository.roles:
        return []
    return [
        parse_release(path, target.length, target.hashes.get("sha256"), _custom(target))
        for path, target in repository.roles[role].signed.targets.items()
    ]


def change_terms(
    repository: Repository,
    ring: KeyRing,
    role: str,
    release: int,
    *,
    halted: bool | None = None,
    share_permille: int | None = None,
) -> int:
    """Halts, resumes or widens a rollout: the same files, signed on other terms.

    Args:
        repository: Where it is on offer.
        ring: The role's key and the online ones.
        role: For which boards.
        release: Which.
        halted: True: nobody begins to install it; None: as it is.
        share_permille: Share of the fleet; None: as it is.

    Returns:
        How many targets were signed again.

    Raises:
        PublishError: There is no such release, or keys are missing.
    """
    changed = 0
    for known in releases_of(repository, role):
        if known.release == release:
            terms: dict[str, Any] = {}
            if halted is not None:
                terms["halted"] = halted
            if share_permille is not None:
                terms["share_permille"] = share_permille
            target = repository.roles[role].signed.targets[known.target]
            new = custom_table(dataclasses.replace(known, **terms))
            parse_release(target.path, target.length, target.hashes["sha256"], new)
            target.unrecognized_fields["custom"] = new
            changed += 1
    if not changed:
        raise PublishError(f"{role} does not offer release {release}; look with --once.")
    repository.commit(ring, role)
    return changed


def _make_targets(
    repository: Repository, bundle: Bundle, terms: Terms, role: str, folder: Path
) -> list[tuple[Path, TargetFile]]:
    manifest = bundle.manifest
    files = digest_files(bundle.directory)
    prefix = f"{manifest.name}/{terms.hardware}/{manifest.release}"
    common = Custom(
        release=manifest.release,
        name=f"{manifest.name} {manifest.release}",
        format="full",
        model=manifest.name,
        hardware=terms.hardware,
        minimum_agent=manifest.min_agent,
        result_sha256=bundle_digest(files),
        result_bytes=sum(file.length for file in files),
        mirror=terms.mirror,
        share_permille=terms.share_permille,
        trial=terms.trial,
    )
    image = folder / "image"
    write_image(bundle.directory, image)
    made = [(image, _target(f"{prefix}.tar.xz", image, common))]
    earlier = sorted(kept_bundles(repository.folder, role).items())
    bases = earlier[-terms.diffs :] if terms.diffs else []
    for number, base in reversed(bases):
        diff = folder / f"{number}.diff"
        report = make_diff(base, bundle.directory, diff)
        if report.size < image.stat().st_size:
            custom = dataclasses.replace(
                common, format="diff", base_sha256=report.base_sha256, mirror=""
            )
            made.append((diff, _target(f"{prefix}-from-{number}.diff", diff, custom)))
    return made


def _target(path: str, file: Path, custom: Custom) -> TargetFile:
    target = TargetFile.from_file(path, str(file), ["sha256"])
    target.unrecognized_fields["custom"] = custom_table(custom)
    # What the boards would refuse must not be signed.
    parse_release(path, target.length, target.hashes["sha256"], _custom(target))
    return target


def _custom(target: TargetFile) -> Mapping[str, Any] | None:
    custom: Mapping[str, Any] | None = target.unrecognized_fields.get("custom")
    return custom


def _withdraw_old(repository: Repository, role: str) -> None:
    """Takes all but the last releases off the offer."""
    offered = releases_of(repository, role)
    kept = sorted({release.release for release in offered})[-_KEPT_RELEASES:]
    for release in offered:
        if release.release not in kept:
            del repository.roles[role].signed.targets[release.target]


def _remove_unlisted(repository: Repository) -> None:
    listed = {
        repository.target_path(target)
        for role in repository.roles.values()
        for target in role.signed.targets.values()
    }
    for path in (repository.folder / "targets").rglob("*"):
        if path.is_file() and path not in listed:
            path.unlink()
