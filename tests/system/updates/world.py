"""An operator, a broker and boards: real keys, a real repository, a real mosquitto, real clients.

Only two things are not what they will be in the field: time is passed in, because trust is about
days, and bundles are small.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.bundle.manifest import WakeEntry, write_manifest
from agent.config import Config, MqttConfig
from agent.mqtt.topics import FleetTopics
from agent.update.floor import Floor
from agent.update.mqtt_fetcher import MqttFetcher
from agent.update.release import Release, role_name
from agent.update.trust import Trust
from converters.updates.broker import BrokerSession
from converters.updates.keys import KeyRing, first_keys, make_key
from converters.updates.publisher import Pushed, push
from converters.updates.releases import Made, Terms, add_release
from converters.updates.repository import Repository
from tests.agent.mqtt.broker import Broker

BEGINNING = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
FLEET = "village"
MODEL = "toy"
DAY = dt.timedelta(days=1)


def write_release(
    folder: Path, number: int, *, name: str = MODEL, min_agent: str = "0.0.0"
) -> Path:
    """A small bundle that is whole: what changes from release to release is a few kilobytes."""
    bundle = folder / f"{name}-{number}"
    (bundle / "wake").mkdir(parents=True)
    # Compresses badly and differs little between releases, like weights.
    weights = bytearray(bytes((i * i * 31 + i * 7 + (i >> 8)) & 0xFF for i in range(100_000)))
    for position in range(number * 17, len(weights), 1009):
        weights[position] ^= number
    (bundle / "encoder_slow.tflite").write_bytes(weights)
    (bundle / "wake" / "beep.tflite").write_bytes(bytes(range(256)) * 8)
    (bundle / "tokens.txt").write_text("<blank>\n<space>\na\n")
    (bundle / "CARD.md").write_text(f"# Release {number}\n")
    write_manifest(
        bundle,
        name=name,
        languages=["en"],
        release=number,
        model="tones",
        min_agent=min_agent,
        wake=(WakeEntry(phrase="beep", file="wake/beep.tflite", threshold=500),),
    )
    return bundle


@dataclasses.dataclass
class Operator:
    """Somebody with keys and a repository.

    Args:
        folder: For everything.
        config: The broker.
    """

    folder: Path
    config: MqttConfig
    now: dt.datetime = BEGINNING

    def __post_init__(self) -> None:
        self.keys = self.folder / "keys"
        first_keys(self.keys)
        self.ring = KeyRing([self.keys])
        self.repository = Repository.create(
            self.folder / "repository",
            self.ring,
            self.ring.first_public_keys(),
            now=lambda: self.now,
        )
        self.root = (self.folder / "repository" / "metadata" / "1.root.json").read_bytes()

    def add(self, number: int, name: str = MODEL, **terms: Any) -> list[Made]:
        """Signs a release of a bundle that is made for it."""
        return self.add_bundle(write_release(self.folder / "bundles", number, name=name), **terms)

    def add_bundle(self, directory: Path, **terms: Any) -> list[Made]:
        """Signs a release of a bundle that exists."""
        return add_release(
            self.repository,
            self.ring,
            directory,
            Terms(**terms),
            new_role_key=lambda role: make_key(self.keys, role).public_key,
        )

    def push(self) -> Pushed:
        return push(self.repository, self.config, fleet=FLEET, password=None)

    def publish(self, number: int, **terms: Any) -> list[Made]:
        made = self.add(number, **terms)
        self.push()
        return made

    def stamp(self, *, after: dt.timedelta = dt.timedelta()) -> None:
        """Time passes, and the daily signature is made and published."""
        self.now += after
        self.repository.stamp(self.ring)
        self.push()

    def replace_key(self, *roles: str) -> None:
        changed: dict[str, None] = {}
        for role in roles:
            new = make_key(self.keys, role).public_key
            old = self.repository.only_key(role)
            changed |= dict.fromkeys(self.repository.replace_key(role, old=old, new=new))
        self.repository.commit(self.ring, *changed)

    def metadata(self) -> dict[str, bytes]:
        return self.repository.metadata_files()


class Board:
    """A board's share in trust: its state on disk, its clock, and a check.

    Args:
        folder: Its state.
        config: The broker.
        root: What it believes at first.
        now: Its clock.
    """

    def __init__(
        self,
        folder: Path,
        config: MqttConfig,
        root: bytes,
        now: Callable[[], dt.datetime],
        *,
        model: str = MODEL,
        hardware: str = "any",
        factory_release: int = 0,
        built: dt.datetime | None = None,
    ) -> None:
        self.folder = folder
        self.config = config
        self.root = root
        self.now = now
        self.model = model
        self.hardware = hardware
        self.factory_release = factory_release
        self.built_s = int(built.timestamp()) if built else 0
        self.timeout_s = 5.0
        self.left_out: list[tuple[str, str]] = []

    @property
    def metadata(self) -> Path:
        return self.folder / "tuf"

    @property
    def downloads(self) -> Path:
        return self.folder / "download"

    def floor(self) -> Floor:
        return Floor(
            self.folder / "floor", factory_release=self.factory_release, built_s=self.built_s
        )

    @contextmanager
    def trust(self) -> Iterator[Trust]:
        """As the child that checks for updates has it: everything from disk, a new connection."""
        fetcher = MqttFetcher(
            self.config,
            fleet=FLEET,
            client_id="va-board-update",
            password=None,
            timeout_s=self.timeout_s,
            grace_s=0.05,
        )
        with fetcher:
            yield Trust(
                self.metadata,
                self.root,
                fetcher,
                self.floor(),
                model=self.model,
                hardware=self.hardware,
                now_s=lambda: self.now().timestamp(),
            )

    def check(self) -> list[Release]:
        with self.trust() as trust:
            try:
                return trust.refresh()
            finally:
                self.left_out = list(trust.left_out)

    def install(self, number: int, form: str = "full") -> bytes:
        """Receives a release; gives its bytes."""
        with self.trust() as trust:
            offers = trust.refresh()
            (release,) = [r for r in offers if (r.release, r.format) == (number, form)][:1]
            with trust.open_target(release, self.downloads) as stream:
                return stream.read()

    def releases(self) -> list[int]:
        """Numbers on offer, without repetition."""
        return list(dict.fromkeys(release.release for release in self.check()))

    def lose_metadata(self, *names: str) -> None:
        """What a power cut may leave when files were never synced: nothing, or torn files.

        Args:
            *names: Which files; none: all.
        """
        for path in self.metadata.rglob("*.json"):
            if not path.is_symlink() and path.name in (names or (path.name,)):
                path.write_bytes(b"")

    def copy(self, folder: Path) -> Board:
        """The same board with the same memory, for another fate."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Board(
            folder, self.config, self.root, self.now, model=self.model, hardware=self.hardware
        )


class World:
    """Everything together.

    Args:
        folder: For everything.
        broker: A real mosquitto, running.
        now: When it begins; agents that are processes have the clock of this machine.
    """

    def __init__(self, folder: Path, broker: Broker, now: dt.datetime = BEGINNING) -> None:
        self.folder = folder
        self.broker = broker
        self.config = dataclasses.replace(Config().mqtt, host="127.0.0.1", port=broker.port)
        self.topics = FleetTopics(prefix="va", fleet=FLEET)
        self.operator = Operator(folder / "operator", self.config, now)
        self._boards = 0

    def board(self, **options: Any) -> Board:
        self._boards += 1
        options.setdefault("now", lambda: self.operator.now)
        root = options.pop("root", self.operator.root)
        return Board(self.folder / f"board-{self._boards}", self.config, root, **options)

    def role(self, hardware: str = "any") -> str:
        return role_name(MODEL, hardware)

    # --- what somebody can do who owns the broker -------------------------------------------

    def overwrite(self, files: dict[str, bytes]) -> None:
        """Replaces metadata on the broker; empty contents remove them."""
        with BrokerSession(self.config, None) as session:
            for name, content in files.items():
                session.keep(self.topics.metadata(name), content)

    def overwrite_chunk(self, release: Release, index: int, content: bytes) -> None:
        with BrokerSession(self.config, None) as session:
            session.keep(self.topics.chunk(release.file, index), content)

    def blank(self) -> None:
        """Removes everything from the broker."""
        with BrokerSession(self.config, None) as session:
            kept = dict(session.kept([self.topics.everything], self.topics.end))
            for topic in (*kept, self.topics.end):
                session.keep(topic, b"")
