"""The runtime class: names, carried state, copies, and files that are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from agent.bundle import runtime
from agent.bundle.runtime import BACKEND_VARIABLE, Model, available_backends
from agent.errors import BundleFileError, RuntimeUnavailableError
from converters.export.authoring import GraphAuthor
from tests.agent import toy_bundle


def _accumulator() -> bytes:
    """total = state_a + x, doubled = 2 x, and the state becomes the total."""
    graph = GraphAuthor("accumulator")
    x = graph.input("x", [1, 3])
    before = graph.input("state_a", [1, 3])
    total = graph.add(before, x)
    graph.output("state_a.out", total)
    graph.output("total", graph.mul(total, graph.constant("one", np.ones(1, np.float32))))
    two = graph.constant("two", np.full(1, 2, np.float32))
    graph.output("doubled", graph.mul(x, two))
    return graph.bytes()


def _row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_state_is_carried_and_reset_clears_it():
    model = Model(_accumulator())
    assert (model.inputs, model.outputs) == (("x",), ("total", "doubled"))
    total, doubled = model(_row(1, 2, 3))
    assert total.tolist() == [[1, 2, 3]]
    assert doubled.tolist() == [[2, 4, 6]]
    assert model(x=_row(10, 0, 0))[0].tolist() == [[11, 2, 3]]
    assert model.state["state_a"].tolist() == [[11, 2, 3]]
    model.reset()
    assert model.state["state_a"].tolist() == [[0, 0, 0]]
    assert model(_row(1, 1, 1))[0].tolist() == [[1, 1, 1]]


def test_outputs_and_state_are_copies():
    model = Model(_accumulator())
    first, _ = model(_row(1, 2, 3))
    kept = model.state
    model(_row(5, 5, 5))
    assert first.tolist() == [[1, 2, 3]]
    assert kept["state_a"].tolist() == [[1, 2, 3]]
    kept["state_a"][:] = 99
    assert model.state["state_a"].tolist() == [[6, 7, 8]]


def test_the_state_moves_to_another_interpreter():
    # What a change of the model under way needs.
    old, new = Model(_accumulator()), Model(_accumulator())
    old(_row(1, 2, 3))
    new.state = old.state
    assert new(_row(0, 0, 1))[0].tolist() == [[1, 2, 4]]
    with pytest.raises(ValueError, match="carries"):
        new.state = {}
    with pytest.raises(ValueError, match="shape"):
        new.state = {"state_a": np.zeros((1, 2), np.float32)}


@pytest.mark.parametrize(
    ("positional", "named"),
    [((), {}), ((_row(1, 2, 3), _row(1, 2, 3)), {}), ((), {"y": _row(1, 2, 3)})],
    ids=["none", "too many", "unknown"],
)
def test_wrong_inputs_are_refused(positional: tuple[np.ndarray, ...], named: dict[str, np.ndarray]):
    with pytest.raises(ValueError, match="takes x"):
        Model(_accumulator())(*positional, **named)


def test_an_input_of_the_wrong_shape_is_refused_and_harmless():
    model = Model(_accumulator())
    with pytest.raises(ValueError):
        model(np.zeros((1, 4), np.float32))
    assert model(_row(1, 2, 3))[0].tolist() == [[1, 2, 3]]


def test_a_role_is_checked_when_it_is_loaded():
    model = Model(_accumulator(), name="x.tflite")
    outputs = {"total": (1, 3), "doubled": (1, -1)}
    model.require({"x": (1, 3)}, outputs)
    with pytest.raises(BundleFileError, match=r"x.tflite has the inputs x instead of frame"):
        model.require({"frame": (1, 3)}, outputs)
    with pytest.raises(BundleFileError, match=r"'x' has the shape \[1, 3\] instead of \[1, 4\]"):
        model.require({"x": (1, 4)}, outputs)


def test_a_state_without_its_output_is_refused():
    graph = GraphAuthor("broken")
    x = graph.input("x", [1, 3])
    graph.output("y", graph.add(x, graph.input("state_a", [1, 3])))
    with pytest.raises(BundleFileError, match=r"state_a.*without an output 'state_a.out'"):
        Model(graph.bytes())


def test_the_file_may_change_while_the_model_runs(tmp_path: Path):
    path = tmp_path / "model.tflite"
    content = toy_bundle.joiner()
    path.write_bytes(content)
    model = Model(path)
    inputs = [np.full((1, toy_bundle.DIM), 0.7, np.float32)] * 2
    before = model(*inputs)[0]
    with path.open("r+b") as stream:  # in place, as a patch would
        stream.write(bytes(len(content)))
    assert np.array_equal(model(*inputs)[0], before)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", BundleFileError),
        (b"not a model at all", BundleFileError),
        (b"\0\0\0\0TFL3" + bytes(100), RuntimeUnavailableError),
        (_accumulator()[:200], RuntimeUnavailableError),
    ],
    ids=["empty", "text", "zeros", "truncated"],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, error: type[Exception]):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(error, match=r"model.tflite"):
        Model(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(BundleFileError, match=r"nothing.tflite cannot be read"):
        Model(tmp_path / "nothing.tflite")


def test_loading_writes_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]):
    Model(_accumulator())(_row(1, 2, 3))
    assert capfd.readouterr().err == ""


def test_a_runtime_can_be_forced(monkeypatch: pytest.MonkeyPatch):
    first = available_backends()[0]
    monkeypatch.setenv(BACKEND_VARIABLE, first)
    assert Model(_accumulator()).backend == first
    monkeypatch.setenv(BACKEND_VARIABLE, "onnx")
    with pytest.raises(RuntimeUnavailableError, match="litert or tflite"):
        Model(_accumulator())


def test_without_any_runtime_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for module, _ in runtime._BACKENDS.values():
        monkeypatch.setitem(sys.modules, module, None)  # the import then fails
    assert available_backends() == []
    with pytest.raises(RuntimeUnavailableError) as caught:
        Model(_accumulator())
    assert "pip install ai-edge-litert" in str(caught.value)
    assert "tflite-runtime==2.14.0" in str(caught.value)
