"""Runs one .tflite file, whichever interpreter is installed.

`Model` hides the interpreter: LiteRT (`ai-edge-litert`) where it has wheels, `tflite-runtime` on
32-bit boards. Tensor names are the interface. An input whose name starts with ``state`` is carried:
its next value is what the output called ``<input>.out`` gave, and zeros after `reset`. All other
inputs are given at every call, all other outputs are returned.

    model = Model(Path("wake/computer.tflite"))
    (score,) = model(frame)            # positional, in the file's order
    (score,) = model(frame=frame)      # or by name

Everything is allocated once, at construction, and every array that leaves is a copy: a view into
the interpreter's memory would be overwritten by the next call and would forbid its reallocation.
The file is read into memory first. An interpreter that maps a file sees every later write to it,
and an update that patches the file would tear the model that is running.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import BundleFileError, RuntimeUnavailableError

BACKEND_VARIABLE = "VOICE_AGENT_RUNTIME"
"""Environment variable that forces one interpreter: `litert` or `tflite`."""
LARGEST_MODEL = 64 * 1024 * 1024  # bytes

_BACKENDS = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite": ("tflite_runtime.interpreter", "tflite-runtime"),
}
_STATE = "state"
_OUT = ".out"
_MAGIC = b"TFL3"  # at offset 4 of every .tflite file

Array = NDArray[Any]


class Model:
    """One .tflite file, ready to be called.

    Args:
        source: The file, or its bytes.
        backend: `litert` or `tflite`; None takes what `VOICE_AGENT_RUNTIME` says, else the first of
            the two that is installed.
        name: What messages call the model; the file's name by default.

    Raises:
        RuntimeUnavailableError: No interpreter is installed, or it refuses the file.
        BundleFileError: The file cannot be read or is no .tflite file.
    """

    def __init__(
        self, source: Path | bytes, *, backend: str | None = None, name: str | None = None
    ) -> None:
        self.name = name or (source.name if isinstance(source, Path) else "model")
        content = read_model_file(source) if isinstance(source, Path) else source
        if content[4:8] != _MAGIC:
            raise BundleFileError(f"{self.name} is not a .tflite file; restore it from its bundle.")
        self.backend, interpreter_class = _interpreter_class(backend)
        try:
            with _quiet_stderr():
                self._interpreter = interpreter_class(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(
                f"{self.name} is refused by {_BACKENDS[self.backend][1]} ({_first_line(error)});"
                " update the agent or restore the bundle."
            ) from error
        details = {d["name"]: d for d in self._interpreter.get_input_details()}
        outputs = {d["name"]: d for d in self._interpreter.get_output_details()}
        self._shapes = {n: tuple(int(s) for s in d["shape"]) for n, d in details.items()}
        self._types = {n: np.dtype(d["dtype"]) for n, d in details.items()}
        self._indices = {n: int(d["index"]) for n, d in details.items()}
        self.inputs = tuple(n for n in details if not n.startswith(_STATE))
        """Names of the inputs that a call gives, in order."""
        self.outputs = tuple(n for n in outputs if not n.startswith(_STATE))
        """Names of the outputs that a call returns, in order."""
        self._output_indices = [int(outputs[n]["index"]) for n in self.outputs]
        self._state_names = tuple(n for n in details if n.startswith(_STATE))
        for state in self._state_names:
            result = outputs.get(state + _OUT)
            if result is None or tuple(result["shape"]) != self._shapes[state]:
                raise BundleFileError(
                    f"{self.name} has the input {state!r} without an output {state + _OUT!r} of"
                    " the same shape; export it again."
                )
        self._state_inputs = [self._indices[n] for n in self._state_names]
        self._state_outputs = [int(outputs[n + _OUT]["index"]) for n in self._state_names]
        self._call_indices = [self._indices[n] for n in self.inputs]
        # An interpreter may hand its inputs' memory to other tensors while it runs, so the state is
        # kept here and set before every call.
        self._zeros = [np.zeros(self._shapes[n], self._types[n]) for n in self._state_names]
        self._state: list[Array] = list(self._zeros)
        # Bound once: attribute look-ups are a measurable part of a call that takes microseconds.
        self._set = self._interpreter.set_tensor
        self._get = self._interpreter.get_tensor
        self._invoke = self._interpreter.invoke

    def __call__(self, *positional: Array, **named: Array) -> tuple[Array, ...]:
        """Runs the model once and carries its state.

        Args:
            positional: One array for each of `inputs`, in order; shape and type as in the file.
            named: The same by name instead.

        Returns:
            One new array for each of `outputs`, in order.

        Raises:
            ValueError: An input is missing, unknown, or has the wrong shape or type.
        """
        if named or len(positional) != len(self._call_indices):
            positional = self._in_order(positional, named)
        set_tensor, get_tensor = self._set, self._get
        for index, value in zip(self._call_indices, positional, strict=True):
            set_tensor(index, value)
        for index, value in zip(self._state_inputs, self._state, strict=True):
            set_tensor(index, value)
        self._invoke()
        self._state = [get_tensor(index) for index in self._state_outputs]
        return tuple([get_tensor(index) for index in self._output_indices])

    def reset(self) -> None:
        """Goes back to the state after construction: all zeros."""
        self._state = list(self._zeros)

    @property
    def state(self) -> dict[str, Array]:
        """The carried state by input name, copied."""
        return {
            name: value.copy() for name, value in zip(self._state_names, self._state, strict=True)
        }

    @state.setter
    def state(self, values: Mapping[str, Array]) -> None:
        if set(values) != set(self._state_names):
            raise ValueError(f"{self.name} carries {self._state_names}, not {tuple(values)}")
        new = [np.array(values[n], dtype=self._types[n]) for n in self._state_names]
        for name, value in zip(self._state_names, new, strict=True):
            if value.shape != self._shapes[name]:
                raise ValueError(f"{name} has the shape {self._shapes[name]}, not {value.shape}")
        self._state = new

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an input or output by name."""
        if name in self._shapes:
            return self._shapes[name]
        for detail in self._interpreter.get_output_details():
            if detail["name"] == name:
                return tuple(int(size) for size in detail["shape"])
        raise KeyError(name)

    def require(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> None:
        """Checks that the file is what its role promises, so that nothing fails at frame 10,000.

        Args:
            inputs: Name and shape of every input that is not state; -1 allows any size.
            outputs: The same for outputs.

        Raises:
            BundleFileError: Something differs; the message names the tensor.
        """
        for kind, wanted, present in (
            ("input", inputs, self.inputs),
            ("output", outputs, self.outputs),
        ):
            if set(wanted) != set(present):
                raise BundleFileError(
                    f"{self.name} has the {kind}s {', '.join(present) or 'none'} instead of"
                    f" {', '.join(wanted)}; export it again."
                )
            for name, shape in wanted.items():
                found = self.shape(name)
                if len(found) != len(shape) or any(
                    w not in (-1, f) for w, f in zip(shape, found, strict=True)
                ):
                    raise BundleFileError(
                        f"{self.name}: {kind} {name!r} has the shape {list(found)} instead of"
                        f" {list(shape)}; export it again."
                    )

    def _in_order(
        self, positional: tuple[Array, ...], named: Mapping[str, Array]
    ) -> tuple[Array, ...]:
        given = dict(zip(self.inputs, positional, strict=False)) | dict(named)
        if len(positional) + len(named) != len(self.inputs) or set(given) != set(self.inputs):
            raise ValueError(f"{self.name} takes {', '.join(self.inputs)}")
        return tuple(given[name] for name in self.inputs)


def available_backends() -> list[str]:
    """The interpreters that are installed, in order of preference."""
    found = []
    for backend, (module, _) in _BACKENDS.items():
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            found.append(backend)
    return found


def _interpreter_class(backend: str | None) -> tuple[str, Any]:
    wanted = backend or os.environ.get(BACKEND_VARIABLE) or None
    if wanted is not None and wanted not in _BACKENDS:
        raise RuntimeUnavailableError(
            f"There is no model runtime {wanted!r}; {BACKEND_VARIABLE} may be litert or tflite."
        )
    reasons = []
    for name in [wanted] if wanted else list(_BACKENDS):
        module, package = _BACKENDS[name]
        try:
            return name, importlib.import_module(module).Interpreter
        except ImportError as error:
            reasons.append(f"{package}: {_first_line(error)}")
    raise RuntimeUnavailableError(
        "No model runtime can be imported; run `pip install ai-edge-litert`, or on a 32-bit board"
        " with Python 3.11 `pip install 'tflite-runtime==2.14.0' 'numpy<2'`"
        f" ({'; '.join(reasons)})."
    )


def read_model_file(path: Path) -> bytes:
    """A file of at most `LARGEST_MODEL` bytes.

    Raises:
        BundleFileError: It cannot be read, or is larger.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_MODEL + 1)
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}); restore the bundle."
        ) from error
    if len(content) > LARGEST_MODEL:
        raise BundleFileError(f"{path} is larger than {LARGEST_MODEL} bytes; is it the right file?")
    return content


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keeps LiteRT from announcing its CPU delegate on standard error.

    It writes from C++, so only the file descriptor helps; real refusals arrive as exceptions.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed: nothing to keep quiet
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
