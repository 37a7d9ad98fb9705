"""TensorRT without a GPU: our code against the real Python bindings of versions 10 and 11.

The bindings' wheels hold no TensorRT, and import only where its libraries are found: libraries of the same
names, with nothing behind their symbols, take their place. Two versions do not fit into one process, so each
runs what is in `bindings` in one of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("COLORCLI_TEST_TENSORRT", HERE.parents[1] / "build" / "tensorrt"))
PACKAGES = {"10": "tensorrt-cu12-bindings>=10.16,<11", "11": "tensorrt-cu13-bindings>=11,<12"}
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "getBuilderPluginRegistry",
    "initLibNvInferPlugins",
)


@pytest.fixture(params=PACKAGES)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """One in which `import tensorrt` gives this version's bindings over empty libraries."""
    version: str = request.param
    bindings = FOLDER / version
    if not bindings.is_dir():
        pytest.skip(f"pip install --no-deps --target {bindings} '{PACKAGES[version]}'")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) to make stand-ins for TensorRT's libraries")
    source = tmp_path / "empty.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in SYMBOLS))
    for library in LIBRARIES:
        name = f"lib{library}.so.{version}"
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", tmp_path / name, source]
        subprocess.run(command, check=True)
    package = tmp_path / "tensorrt"
    package.mkdir()
    # What the package that brings the libraries along does, too.
    (package / "__init__.py").write_text(
        "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
    )
    path = os.pathsep.join([str(tmp_path), str(bindings)])
    return {**os.environ, "PYTHONPATH": path, "LD_LIBRARY_PATH": str(tmp_path), "TENSORRT_MAJOR": version}


def test_the_code_fits_the_bindings(environment: dict[str, str]) -> None:
    pytest.importorskip("cuda.bindings", reason="pip install 'colorcli[tensorrt]'")
    tests = sorted(map(str, (HERE / "bindings").glob("check_*.py")))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
