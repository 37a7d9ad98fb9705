"""Fixtures for every test."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.cli import remember_environment
from support.toy import toy_generator

# Tests run side by side, one to a core: more threads each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore signals, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    remember_environment()


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small deterministic generator; hints shift its colors."""
    return toy_generator(tmp_path_factory.mktemp("model") / "toy.onnx")
