"""What a training run learns from: shards that exist, and the processes that make more of them.

Only the first rank starts preparers; every rank maps the shards that it finds.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from typing import Any

from converters.asr.prepare import Plan, run_quietly
from converters.asr.rows import Material
from converters.asr.shards import ShardFolder
from converters.corpora.errors import CorpusError

_POLL_S = 2.0


class Supply:
    """Features of one run.

    Args:
        plan: what to prepare and where.
        preparers: how many processes make features; none on ranks other than the first.
    """

    def __init__(self, plan: Plan, preparers: int) -> None:
        self._plan = plan
        kinds = ("synthetic", "real", "wake", "noise")
        self._kinds = {kind: ShardFolder(plan.folder / kind) for kind in kinds}
        self._corpora = [ShardFolder(plan.folder / "corpora" / name) for name in plan.corpora]
        self._unread = 0
        allow_many_files()
        context = multiprocessing.get_context("spawn")
        self._preparers: list[Any] = []
        for number in range(preparers):
            share = (plan, number, preparers)
            process = context.Process(target=run_quietly, args=share, daemon=True)
            process.start()
            self._preparers.append(process)
        self._had_preparers = preparers > 0

    def wait(self) -> None:
        """Blocks until there is synthetic speech, or where there are no pools, a corpus.

        Raises:
            CorpusError: every preparer has given up.
        """
        while not self._enough():
            if self._had_preparers and not any(p.is_alive() for p in self._preparers):
                raise CorpusError("No features were made: see above, and check what is given.")
            time.sleep(_POLL_S)

    def _enough(self) -> bool:
        self.rescan()
        needed = [self._kinds["synthetic"]] if self._plan.pools else self._corpora
        return any(folder.clips for folder in needed)

    def rescan(self) -> None:
        """Maps what has been made since the last call."""
        for folder in (*self._kinds.values(), *self._corpora):
            folder.rescan()

    def material(self) -> Material:
        """All that is mapped; corpora count as real speech."""
        clips = {kind: list(folder.clips) for kind, folder in self._kinds.items()}
        for folder in self._corpora:
            clips["real"] += folder.clips
        return Material(**clips)

    def news(self) -> list[str]:
        """Sentences about recordings that cannot be read and preparers that failed, each once."""
        told = []
        files = (file for folder in self._corpora for file in folder.folder.glob("*.unread"))
        unread = sum(len(file.read_text().splitlines()) for file in files)
        if unread > self._unread:
            self._unread = unread
            folder = self._plan.folder / "corpora"
            told.append(f"{unread} recordings cannot be read: see *.unread below {folder}")
        for process in [p for p in self._preparers if p.exitcode]:
            self._preparers.remove(process)
            told.append("Making features has failed, see above; training goes on without.")
        return told

    def stop(self) -> None:
        """Ends the preparers; what they have finished stays."""
        for process in self._preparers:
            process.terminate()
            process.join()


def allow_many_files() -> None:
    """Every shard stays open, which is a file an hour of speech; the usual limit is 1024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
