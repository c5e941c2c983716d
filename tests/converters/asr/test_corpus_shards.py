"""Shards of a corpus: resumed, shared by processes, each hour only once in memory."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from converters.asr import prepare
from converters.asr.prepare import Plan
from converters.asr.shards import ShardFolder
from converters.corpora import index as indexing
from converters.corpora.catalogue import named_split
from converters.corpora.index import build
from converters.synthesis.phones import UNKNOWN
from converters.synthesis.pool import PoolItem, PoolWriter
from tests.converters.corpora.tiny import prepared_librispeech

CORPUS = "0123456789ab"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Six utterances of 1.5 s in three portions."""
    monkeypatch.setattr(indexing, "PORTION_S", 3.0)
    manifests = prepared_librispeech(tmp_path)
    folder = tmp_path / "features" / "corpora" / CORPUS
    index = build(named_split(f"lhotse:{manifests}:train-clean-5"), folder)
    assert [len(list(index.portion(n))) for n in range(3)] == [3, 2, 1]
    return Plan(
        folder=tmp_path / "features", pools=(), wake_pools=(), real=None, wake_phrase="computer",
        corpora=(CORPUS,), corpus_copies=2,
    )  # fmt: skip


def _clips(plan: Plan) -> ShardFolder:
    folder = ShardFolder(plan.folder / "corpora" / CORPUS)
    folder.rescan()
    return folder


def test_every_utterance_has_its_copies(plan: Plan):
    assert prepare.prepare(plan) == 6
    clips = _clips(plan).clips
    texts = sorted(clip.text for clip in clips)
    assert len(texts) == 12
    assert texts[::2] == texts[1::2] == sorted(
        ["turn on the lamp", "it's raining", "what time is it", "stop", "go on", "play some music"]
    )
    first, second = (clip.hops for clip in clips if clip.text == "it's raining")
    assert first.shape != second.shape or not np.array_equal(first, second)
    for clip in clips:
        assert clip.source_s == 1.5
        # Nothing is known of the phones, and knowing nothing takes no memory.
        assert clip.phones is not None
        assert len(clip.phones) == len(clip.hops)
        assert clip.phones.strides == (0,)
        assert np.all(clip.phones == UNKNOWN)


def test_work_goes_on_where_it_stopped(plan: Plan):
    prepare.prepare(plan)
    folder = plan.folder / "corpora" / CORPUS
    before = {path.name: path.read_bytes() for path in folder.glob("copy*")}
    (folder / "copy1-00001.json").unlink()
    (folder / "copy0-00002.json").unlink()
    assert prepare.prepare(plan) == 2
    assert prepare.prepare(plan) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("copy*")} == before


def test_processes_share_the_shards(plan: Plan):
    made = [prepare.prepare(plan, worker, 3) for worker in range(3)]
    assert sum(made) == 6
    assert prepare.prepare(plan) == 0


def test_the_first_copy_comes_first_and_pools_do_not_wait(plan: Plan, tmp_path: Path):
    noise = np.random.default_rng(1).normal(0, 900, 8000).astype(np.int16)
    with PoolWriter(tmp_path / "pool", {"version": 0}) as writer:
        item = PoolItem(
            index=0, offset=0, samples=0, seconds=0.0, text="word", speaker="s", engine="e",
            voice="v", split="train", kind="command", cell="template", intent="x",
        )  # fmt: skip
        writer.append(item, noise)
    both = Plan(
        folder=plan.folder, pools=(tmp_path / "pool",), wake_pools=(), real=None,
        wake_phrase="computer", corpora=plan.corpora, copies=2, corpus_copies=2,
    )  # fmt: skip
    order = [(kind.split("/")[0], name) for name, kind, *_ in prepare._tasks(both)]
    assert order == [
        ("synthetic", "pool0-copy0-000-of1"),
        ("corpora", "copy0-00000"), ("corpora", "copy0-00001"),
        # From here on in turns, what exists again included.
        ("synthetic", "pool0-copy0-000-of1"), ("corpora", "copy0-00000"),
        ("synthetic", "pool0-copy1-000-of1"), ("corpora", "copy0-00001"),
        ("corpora", "copy0-00002"), ("corpora", "copy1-00000"), ("corpora", "copy1-00001"),
        ("corpora", "copy1-00002"),
    ]  # fmt: skip


def test_what_cannot_be_read_is_listed_beside_the_shard(plan: Plan):
    folder = plan.folder / "corpora" / CORPUS
    lost = next(indexing.Index(folder).portion(0))
    Path(json.loads(lost.cut)["recording"]["sources"][0]["source"]).unlink()
    # The one recording is a third of its portion: training goes on without it.
    prepare.prepare(plan)
    listed = (folder / "copy0-00000.unread").read_text()
    assert listed.startswith(f"{lost.id} cannot be read: ")
    assert len(listed.splitlines()) == 1
    assert len(json.loads((folder / "copy0-00000.json").read_text())) == 2


def test_more_hours_than_files_may_usually_be_open(tmp_path: Path):
    """In a process of its own: limits are the process's."""
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from converters.asr.prepare import Plan
from converters.asr.shards import ShardFolder
from converters.asr.supply import Supply
folder = Path(sys.argv[1])
for number in range(150):
    np.save(folder / f"s{number}.npy", np.zeros((2, 64), np.float16))
    with (folder / f"s{number}.phones").open("wb") as file:
        np.save(file, np.full(2, -1, np.int8))
    (folder / f"s{number}.json").write_text('[[0, 2, "word", 0.02, null]]')
resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    ShardFolder(folder).rescan()
except OSError as error:
    print(error.errno)
Supply(Plan(folder, (), (), None, "computer"), preparers=0)
print(ShardFolder(folder).rescan())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True,
        timeout=240, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout.split() == [str(errno.EMFILE), "150"]
