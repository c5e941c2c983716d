"""A repository of The Update Framework in a folder: metadata, targets, and the bundles diffs need.

    REPOSITORY/metadata/1.root.json ... timestamp.json     what boards read, under these names
    REPOSITORY/targets/<model>/<hardware>/<sha256>.<name>  full images and diffs
    REPOSITORY/bundles/<model>-<hardware>/<release>/       what was published, to make diffs from

The folder is the truth; the broker only gets a copy (`publisher.py`), and may lose it. Every change
ends in a new snapshot and a new timestamp, which is written last: whoever reads in between sees the
old state, whole. Files are replaced, never changed.

Online keys (snapshot, timestamp) are needed for every change; those of a model's role when its
releases change; `targets` and `root` only when keys change or their signatures run out.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from agent.update.release import role_name
from converters.updates.errors import RepositoryFolderError
from converters.updates.keys import FIRST_KEYS, THRESHOLDS, KeyRing
from converters.updates.metadata_files import (
    metadata_files,
    prune_metadata,
    read_metadata,
    write_metadata,
)

LIFETIMES = {
    "root": dt.timedelta(days=365),
    "targets": dt.timedelta(days=90),
    "snapshot": dt.timedelta(days=7),
    "timestamp": dt.timedelta(days=2),
}
ROLE_LIFETIME = dt.timedelta(days=30)

_SERIALIZER = JSONSerializer(compact=True)
AnySigned = TypeVar("AnySigned", bound=Signed)


class Repository:
    """The folder, opened.

    Args:
        folder: Made by `create`.
        now: The time, for expiry and `issued`.

    Raises:
        RepositoryFolderError: It is no such folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.folder = folder
        self._now = now
        self.root: Metadata[Root] = read_metadata(folder, "root")
        self.targets: Metadata[Targets] = read_metadata(folder, "targets")
        self.snapshot: Metadata[Snapshot] = read_metadata(folder, "snapshot")
        self.timestamp: Metadata[Timestamp] = read_metadata(folder, "timestamp")
        self.roles: dict[str, Metadata[Targets]] = {
            name: read_metadata(folder, name) for name in self._delegations().roles or {}
        }

    @classmethod
    def create(
        cls,
        folder: Path,
        ring: KeyRing,
        key_ids: Mapping[str, Mapping[str, Any]],
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> Repository:
        """Makes a repository without releases.

        Args:
            folder: Where; must not hold one yet.
            ring: All keys of the beginning.
            key_ids: For each top-level role, its public keys by id.
            now: The time.

        Returns:
            The repository, signed.

        Raises:
            RepositoryFolderError: There is one already.
            KeyFileError: Keys are missing.
        """
        if (folder / "metadata").exists():
            raise RepositoryFolderError(f"{folder} already holds a repository; name a new folder.")
        when = now().replace(microsecond=0)
        root = Root(expires=when, consistent_snapshot=True)
        for role, keys in key_ids.items():
            for key in keys.values():
                root.add_key(key, role)
            root.roles[role].threshold = THRESHOLDS[role]
        self = cls.__new__(cls)
        self.folder, self._now = folder, now
        self.root = Metadata(root)
        self.targets = Metadata(Targets(expires=when))
        self.targets.signed.delegations = Delegations(keys={}, roles={})
        self.snapshot = Metadata(Snapshot(expires=when))
        self.timestamp = Metadata(Timestamp(expires=when))
        self.roles = {}
        for metadata in (self.root, self.targets, self.snapshot, self.timestamp):
            metadata.signed.version = 0  # signing counts up
        self.commit(ring, "root", "targets")
        return self

    def commit(self, ring: KeyRing, *changed: str) -> None:
        """Signs what has changed, and everything that must follow it.

        Args:
            ring: The keys.
            *changed: Roles other than snapshot and timestamp; none: these two alone.

        Raises:
            KeyFileError: Keys are missing; then nothing has been written.
        """
        files: dict[str, bytes] = {}
        for role in changed:
            files |= self._sign(ring, role)
            if role != "root":
                metadata = self._metadata(role)
                content = metadata.to_bytes(_SERIALIZER)
                self.snapshot.signed.meta[f"{role}.json"] = _meta_file(metadata.signed, content)
        files |= self._sign(ring, "snapshot")
        self.timestamp.signed.snapshot_meta = _meta_file(
            self.snapshot.signed, self.snapshot.to_bytes(_SERIALIZER)
        )
        files |= self._sign(ring, "timestamp")
        # The timestamp is the last of them: it makes the others count.
        write_metadata(self.folder, files)
        # Every list of keys stays: boards follow them one by one from the one they shipped with.
        prune_metadata(self.folder, ("targets", "snapshot", *self.roles))

    def stamp(self, ring: KeyRing) -> None:
        """Says that all still holds: a new timestamp; also a new snapshot if the old is half over.

        Args:
            ring: The online keys.

        Raises:
            KeyFileError: They are missing.
        """
        left = self.snapshot.signed.expires - self._now()
        if left < LIFETIMES["snapshot"] / 2:
            self.commit(ring)
            return
        write_metadata(self.folder, self._sign(ring, "timestamp"))

    def delegate(self, model: str, hardware: str, key: Any) -> str:
        """Makes a role for a model and machine, with one key.

        Args:
            model: The bundle's name.
            hardware: The machine.
            key: Its public key.

        Returns:
            The role's name; `targets` and the role are to be committed.
        """
        role = role_name(model, hardware)
        delegations = self._delegations()
        assert delegations.roles is not None
        delegations.roles[role] = DelegatedRole(
            role, [], 1, terminating=True, paths=[f"{model}/{hardware}/*"]
        )
        self.targets.signed.add_key(key, role)
        self.roles[role] = Metadata(Targets(expires=self._now().replace(microsecond=0)))
        self.roles[role].signed.version = 0
        return role

    def replace_key(self, role: str, *, old: str | None, new: Any | None) -> list[str]:
        """Adds a key to a role, takes one away, or both.

        Args:
            role: Any role.
            old: Id, or its beginning, of the key that counts no more.
            new: Public key that counts from now on.

        Returns:
            The roles to be committed.

        Raises:
            RepositoryFolderError: There is no such role or key, or too few would remain.
        """
        owner = self.root.signed if role in FIRST_KEYS else self.targets.signed
        if role not in FIRST_KEYS and role not in self.roles:
            raise RepositoryFolderError(
                f"There is no role {role!r}; see voice-converters keys list."
            )
        holder = owner.get_delegated_role(role)
        if old is not None:
            matching = [key_id for key_id in holder.keyids if key_id.startswith(old)]
            if len(matching) != 1:
                raise RepositoryFolderError(f"{role} has no key {old}; see voice-converters keys.")
            owner.revoke_key(matching[0], role)
        if new is not None:
            owner.add_key(new, role)
        if len(holder.keyids) < holder.threshold:
            raise RepositoryFolderError(
                f"{role} needs {holder.threshold} keys and would have {len(holder.keyids)}; add"
                " another one first."
            )
        if role not in FIRST_KEYS:
            return ["targets", role]
        return ["root", "targets"] if role == "targets" else ["root"]

    def key_ids(self) -> list[tuple[str, str]]:
        """(role, id) of every key that counts."""
        holders = [(name, self.root.signed.roles[name]) for name in FIRST_KEYS]
        holders += [(name, self.targets.signed.get_delegated_role(name)) for name in self.roles]
        return [(name, key_id) for name, holder in holders for key_id in holder.keyids]

    def only_key(self, role: str, beginning: str = "") -> str:
        """The id of a role's only key.

        Args:
            role: Any role.
            beginning: First digits of the id, where the role has more keys.

        Raises:
            RepositoryFolderError: The role has more keys like that, or none.
        """
        ids = [key_id for name, key_id in self.key_ids() if name == role]
        like_that = [key_id for key_id in ids if key_id.startswith(beginning)]
        if len(like_that) != 1:
            found = f"{len(like_that)} such" if beginning else f"{len(ids)}"
            raise RepositoryFolderError(
                f"{role} has {found} keys; say which with --old, see voice-converters keys list."
            )
        return like_that[0]

    def target_path(self, target: TargetFile) -> Path:
        """Where a target's content lies."""
        folder, _, name = target.path.rpartition("/")
        return self.folder / "targets" / folder / f"{target.hashes['sha256']}.{name}"

    def metadata_files(self) -> dict[str, bytes]:
        """All metadata by name, the timestamp last."""
        return metadata_files(self.folder)

    def expiring(self, *, within: dt.timedelta | None = None) -> list[tuple[str, dt.datetime]]:
        """Roles whose offline keys are needed soon.

        Args:
            within: Time that is soon; by default a third of the role's lifetime.

        Returns:
            (role, moment of expiry), the most urgent first.
        """
        now = self._now()
        soon = []
        for role in ("root", "targets", *self.roles):
            expires = self._metadata(role).signed.expires
            if expires - now < (within or LIFETIMES.get(role, ROLE_LIFETIME) / 3):
                soon.append((role, expires))
        return sorted(soon, key=lambda item: item[1])

    # --- inside ----------------------------------------------------------------------------

    def _delegations(self) -> Delegations:
        delegations = self.targets.signed.delegations
        assert delegations is not None
        return delegations

    def _metadata(self, role: str) -> Metadata[Any]:
        if role in FIRST_KEYS:
            top: Metadata[Any] = getattr(self, role)
            return top
        return self.roles[role]

    def _sign(self, ring: KeyRing, role: str) -> dict[str, bytes]:
        """Signs the next version of a role; gives the name and content of its file."""
        metadata = self._metadata(role)
        owner = self.root.signed if role in FIRST_KEYS else self.targets.signed
        holder = owner.get_delegated_role(role)
        signers = ring.signers(role, holder.keyids, holder.threshold)
        if role == "root" and metadata.signed.version > 0:
            # Boards that know only the old keys must be able to follow.
            before = read_metadata(self.folder, "root").signed.roles["root"]
            known = {signer.public_key.keyid for signer in signers}
            signers += [
                signer
                for signer in ring.signers("root before", before.keyids, before.threshold)
                if signer.public_key.keyid not in known
            ]
        now = self._now().replace(microsecond=0)
        metadata.signed.version += 1
        metadata.signed.expires = now + LIFETIMES.get(role, ROLE_LIFETIME)
        if role in ("root", "timestamp"):
            metadata.signed.unrecognized_fields["issued"] = int(now.timestamp())
        metadata.signatures.clear()
        for signer in signers:
            metadata.sign(signer, append=True)
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        return {name: metadata.to_bytes(_SERIALIZER)}


def _meta_file(signed: Signed, content: bytes) -> MetaFile:
    return MetaFile(signed.version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})
