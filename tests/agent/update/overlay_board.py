"""An overlay on a board: its file, its folder, and one start of `listen` after the other."""

from __future__ import annotations

from pathlib import Path

from agent.bundle.manifest import Bundle, load_bundle
from agent.errors import BundleFileError
from agent.update.overlaid import Overlaid
from tests.agent.mqtt.broker import until
from tests.agent.update.toy_overlays import write_overlay


class OverlayBoard:
    """A board whose models are only looked for, and tried for real.

    Args:
        folder: For everything.
        releases: Bundles by number.
    """

    def __init__(self, folder: Path, releases: dict[int, Path]) -> None:
        self.file = folder / "mine.overlay"
        self.folder = folder / "state" / "overlay"
        self.releases = releases
        self.broken: set[Path] = set()
        self.overlaid: Overlaid[Path] | None = None

    def overlay(self, deaf: str) -> None:
        write_overlay(self.file, self.releases[1], deaf=deaf)

    def start(self, release: int = 1, *, after_crash: bool = False) -> Path:
        """Which bundle `listen` hears with after it has ended, or crashed, and was started anew."""
        if self.overlaid is not None and not after_crash:
            self.overlaid.lived()
            self.overlaid.close()
        self.overlaid = Overlaid(self.file, self.folder, self._build)
        return self.overlaid.build(load_bundle(self.releases[release]))

    def tried(self) -> bool:
        """Waits for the end of the trial; whether the overlay has passed."""
        overlaid = self.overlaid
        assert overlaid is not None
        until(lambda: overlaid.turn() or overlaid._child is None, "the end of the trial")
        assert overlaid.turn() == overlaid.turn()
        return overlaid.turn()

    def listens_with(self) -> Path:
        assert self.overlaid is not None
        return self.overlaid.rebuild()

    @property
    def word(self) -> str:
        assert self.overlaid is not None
        return self.overlaid.word

    @property
    def on_trial(self) -> bool:
        return self.overlaid is not None and self.overlaid._child is not None

    @property
    def both(self) -> Path:
        """Where the release with the overlay lies."""
        return self.folder / "bundle"

    def _build(self, bundle: Bundle) -> Path:
        if bundle.directory in self.broken:
            raise BundleFileError("The joiner is from the moon.")
        return bundle.directory
