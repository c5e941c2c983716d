from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from agent import paths
from agent.config import Config
from agent.errors import ConfigError


def with_device(name: str) -> Config:
    return dataclasses.replace(Config(), device=dataclasses.replace(Config().device, id=name))


def with_socket(path: str) -> Config:
    return dataclasses.replace(Config(), socket=dataclasses.replace(Config().socket, path=path))


def test_state_is_where_it_is_wanted_and_private(tmp_path: Path) -> None:
    wanted = tmp_path / "deep" / "state"
    assert paths.state_directory(wanted) == wanted
    assert wanted.stat().st_mode & 0o007 == 0


def test_state_of_a_user_who_may_not_write_var(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SYSTEM_STATE", tmp_path / "absent" / "voice-agent")
    expected = Path(os.environ["XDG_STATE_HOME"]) / "voice-agent"
    assert paths.state_directory() == expected
    assert expected.is_dir()


def test_state_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give a writable one with --state"):
        paths.state_directory(tmp_path / "file" / "state")


def test_socket_is_in_the_state_unless_configured(tmp_path: Path) -> None:
    assert paths.socket_path(Config(), tmp_path) == tmp_path / "listen.sock"
    assert paths.socket_path(with_socket("/run/x.sock"), tmp_path) == Path("/run/x.sock")


def test_a_socket_path_that_the_kernel_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="107 bytes"):
        paths.socket_path(Config(), Path("/" + "x" * 100))


def test_device_id_is_made_from_the_machine_and_does_not_tell_it() -> None:
    name = paths.device_id(Config())
    assert name == paths.device_id(Config())
    assert len(name) == 12
    machine = Path("/etc/machine-id")
    if machine.exists():
        assert name not in machine.read_text()


@pytest.mark.parametrize("name", ["a/b", "+", "#", "a b", "ä", "x" * 65, "a\n"])
def test_device_id_must_be_a_topic_level(name: str) -> None:
    with pytest.raises(ConfigError, match=r"device\.id"):
        paths.device_id(with_device(name))


def test_device_id_can_be_chosen() -> None:
    assert paths.device_id(with_device("kitchen-1.a_b")) == "kitchen-1.a_b"
