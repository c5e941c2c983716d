from __future__ import annotations

import pytest
import soundfile

from agent.errors import UnreadableAudioError
from converters.wake.folders import folder_utterances, kept_back
from converters.wake.recordings import Role
from tests.converters.wake.toy import RATE, rest, wake_word


@pytest.fixture
def calls(tmp_path):
    folder = tmp_path / "calls"
    for name in ("anna/1.wav", "anna/2.flac", "ben/1.wav", "4.ogg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wake_word(), RATE)
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_a_folder_inside_names_the_speaker(calls):
    found = folder_utterances(calls, positive=True)
    assert [u.speaker for u in found] == ["own calls", "own anna", "own anna", "own ben"]
    assert {u.role for u in found} == {Role.POSITIVE}
    assert all(u.real for u in found)
    assert len(found[0].load()) == len(wake_word())


def test_negatives_are_words_or_speech_by_their_length(calls):
    soundfile.write(calls / "television.wav", rest(4.0), RATE)
    roles = {u.key.split()[2]: u.role for u in folder_utterances(calls, positive=False)}
    assert roles["television.wav"] is Role.SPEECH
    assert roles["4.ogg"] is Role.WORD


def test_another_content_is_another_utterance(calls):
    before = {u.key for u in folder_utterances(calls, positive=True)}
    soundfile.write(calls / "ben" / "1.wav", wake_word(1.1), RATE)
    after = {u.key for u in folder_utterances(calls, positive=True)}
    assert len(before - after) == len(after - before) == 1


def test_nothing_to_read_is_named(tmp_path):
    with pytest.raises(UnreadableAudioError, match="holds no recordings"):
        folder_utterances(tmp_path / "none", positive=True)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    with pytest.raises(UnreadableAudioError, match=r"bad\.wav"):
        folder_utterances(tmp_path, positive=True)


def test_few_calls_are_all_trained_on_and_of_many_one_in_five_chooses(calls):
    (call,) = folder_utterances(calls / "ben", positive=True)
    assert kept_back([call] * 9) == ([call] * 9, [])
    training, choosing = kept_back([call] * 20)
    assert (len(training), len(choosing)) == (16, 4)
