"""One engine for all processes of a run: what they ask for at the same moment runs as one batch.

Worker processes decode, compute optical flow and encode. A card does one call at a time, and several pictures
in a call cost it little more than one. No request waits for others to come, so a single one runs at once.
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.engines.base import Engine, Tensors, TensorSpec
from colorcli.engines.device import Device
from colorcli.errors import ColorcliError, bug

CPU = "cpu"
MOST_PICTURES = 8
"""Pictures in a call at most; `GuardedEngine` makes them fewer where the card's memory is too small."""

Outputs = dict[str, NDArray[Any]]
_Answer = tuple[Outputs, str] | ColorcliError
"""The outputs and a note for the user, or what failed."""


@dataclass(frozen=True)
class EngineConnections:
    """What one process uses shared engines by. It can be an argument of a process that is started."""

    connections: dict[Path, Connection]
    """By model file; those not in use yet."""

    def open(self, path: Path) -> Engine | None:
        """The engine of a model file; None where it would run on the CPU, or is in use: the caller opens it.

        Raises:
            ColorcliError: it could not be opened.
        """
        connection = self.connections.pop(path, None)
        if connection is None:
            return None
        description = connection.recv()
        if isinstance(description, _Description):
            return _RemoteEngine(connection, description)
        connection.close()
        if description is not None:
            raise description
        return None


@dataclass(frozen=True)
class SharedEngines:
    """The engines of a run's model files."""

    servers: "Mapping[Path, _EngineServer]"

    def connect(self) -> EngineConnections:
        """Connect one more process."""
        return EngineConnections({path: server.connect() for path, server in self.servers.items()})


@contextmanager
def share_engines(
    paths: Sequence[Path], device: str, open_engine: Callable[[Path], Engine]
) -> Iterator[SharedEngines | None]:
    """Serve the engines of model files until the context is left; None if `device` is the CPU.

    The engines are opened in the background, so an error is raised where they are used.
    """
    if Device.parse(device).kind in (CPU, "openvino"):
        yield None
        return

    def open_on_card(path: Path) -> Engine | None:
        if device == "auto" and not _has_gpu():
            return None
        engine = open_engine(path)
        if engine.device != CPU:
            return engine
        engine.close()
        return None

    with ExitStack() as stack:
        yield SharedEngines({path: stack.enter_context(_EngineServer(path, open_on_card)) for path in paths})


def _has_gpu() -> bool:
    from colorcli.engines.gpus import has_gpu

    return has_gpu()


@dataclass(frozen=True)
class _Description:
    """What an engine says of itself."""

    metadata: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device: str


class _RemoteEngine(Engine):
    """The engine of another process."""

    def __init__(self, connection: Connection, description: _Description) -> None:
        self._connection = connection
        self.metadata, self.device = description.metadata, description.device
        self.inputs, self.outputs = description.inputs, description.outputs
        self._notes: list[str] = []

    def run(self, tensors: Tensors) -> Outputs:
        _send(self._connection, dict(tensors))
        answer = self._connection.recv()
        if isinstance(answer, ColorcliError):
            raise answer
        outputs: Outputs
        outputs, note = answer
        self._notes += [note] if note else []
        return outputs

    def take_note(self) -> str:
        notes, self._notes = self._notes, []
        return "; ".join(notes)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, eq=False)
class _Request:
    """A run that a process waits for."""

    tensors: Tensors
    answer: Future[_Answer] = field(default_factory=Future)

    @property
    def pictures(self) -> int:
        return len(next(iter(self.tensors.values())))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [values.shape for values in self.tensors.values()]


class _EngineServer:
    """Runs one engine in a thread, for any number of clients."""

    def __init__(self, path: Path, open_engine: Callable[[Path], Engine | None]) -> None:
        self._path, self._open_engine = path, open_engine
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._description: Future[_Description | ColorcliError | None] = Future()
        self._most = MOST_PICTURES
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_EngineServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.put(None)
        self._thread.join()

    def connect(self) -> Connection:
        """The end of a new connection that is for the client.

        It is held nowhere else in this process, so the connection ends with the client's process.
        """
        ours, theirs = Pipe()
        Thread(target=self._attend, args=(ours,), daemon=True).start()
        return theirs

    def _attend(self, connection: Connection) -> None:
        """Take a client's requests, one at a time, until it closes the connection or ends."""
        with connection, suppress(OSError, EOFError):
            connection.send(self._description.result())
            while True:
                request = _Request(connection.recv())
                self._requests.put(request)
                _send(connection, request.answer.result())

    def _run(self) -> None:
        """Open the engine and run what is asked for."""
        try:
            engine = self._open_engine(self._path)
        except Exception as error:
            self._description.set_result(_expected(error, str(self._path)))
            return
        if engine is None:
            self._description.set_result(None)
            return
        with engine:
            if any(spec.shape[:1] != (None,) for spec in (*engine.inputs, *engine.outputs)):
                self._most = 1
            described = dict(engine.metadata), engine.inputs, engine.outputs, engine.device
            self._description.set_result(_Description(*described))
            waiting: deque[_Request] = deque()
            while self._receive(waiting):
                self._run_batch(engine, waiting)

    def _receive(self, waiting: deque[_Request]) -> bool:
        """Add what has been asked for by now, at least one request; False at the end."""
        while not waiting or not self._requests.empty():
            request = self._requests.get()
            if request is None:
                return False
            waiting.append(request)
        return True

    def _run_batch(self, engine: Engine, waiting: deque[_Request]) -> None:
        """Answer the first request, and others of the same shapes with it."""
        batch = _alike(waiting, 1 if engine.device == CPU else self._most)
        answers: Sequence[_Answer]
        try:
            answers = _split(engine.run(_joined(batch)), len(batch), engine.take_note())
        except Exception as error:
            answers = [_expected(error, engine.device)] * len(batch)
        for request, answer in zip(batch, answers, strict=True):
            waiting.remove(request)
            request.answer.set_result(answer)


def _send(connection: Connection, value: object) -> None:
    """As `Connection.send`, whose older protocol copies arrays once more: two thirds of the time."""
    connection.send_bytes(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _alike(waiting: Sequence[_Request], most: int) -> list[_Request]:
    """The first request and those of its shapes, with `most` pictures unless the first alone has more.

    As many as a power of two: engines prepare something for each size of a batch.
    """
    first = waiting[0]
    alike = [request for request in waiting if request.shapes == first.shapes]
    count = min(len(alike), max(1, most // first.pictures))
    return alike[: 1 << (count.bit_length() - 1)]


def _joined(batch: Sequence[_Request]) -> Tensors:
    if len(batch) == 1:
        return batch[0].tensors
    names = batch[0].tensors
    return {name: np.concatenate([request.tensors[name] for request in batch]) for name in names}


def _split(outputs: Outputs, count: int, note: str) -> list[_Answer]:
    """The answers to `count` requests; the first one gets the note, which is for one user."""
    parts = {name: np.split(values, count) for name, values in outputs.items()}
    notes = [note, *[""] * (count - 1)]
    return [({name: part[place] for name, part in parts.items()}, notes[place]) for place in range(count)]


def _expected(error: Exception, subject: str) -> ColorcliError:
    """An error that can be sent to another process."""
    return error if isinstance(error, ColorcliError) else bug(subject, error)
