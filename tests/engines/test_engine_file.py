"""Engine files: what the header says, and where it keeps an engine from running."""

from dataclasses import replace
from pathlib import Path

import pytest

from colorcli.engines.engine_file import (
    EngineHeader,
    EngineOptions,
    Gpu,
    Profile,
    read_engine_file,
    write_engine_file,
)
from colorcli.errors import SetupError, UsageError
from colorcli.networks.card import ModelCard

H200 = Gpu("NVIDIA H200", (9, 0))
TURING = Gpu("NVIDIA T4", (7, 5))
ADA = Gpu("NVIDIA L4", (8, 9))
REBUILD = "colorcli export generator.safetensors -o model.engine"
PROFILES = (
    Profile((1, 64, 64), (4, 128, 128), (8, 256, 256)),
    Profile((1, 64, 64), (1, 512, 512), (2, 1024, 1024)),
)
ENGINE = b"engine \x00\xff of machine code"


def header(**changes: bool) -> EngineHeader:
    card = ModelCard(name="test", version="1", architecture="toy", precision="fp16", digest="d" * 64)
    return EngineHeader(card, "10.16.1.11", H200, EngineOptions(PROFILES, **changes), REBUILD, len(ENGINE))


def test_header_and_engine_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    write_engine_file(path, header(version_compatible=True), ENGINE)
    assert read_engine_file(path) == (header(version_compatible=True), ENGINE)


@pytest.mark.parametrize("cut", [1, len(ENGINE), len(ENGINE) + 10])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.engine"
    write_engine_file(path, header(), ENGINE)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SetupError, match=r"model\.engine: .*export"):
        read_engine_file(path)


def test_an_engine_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    path.write_bytes(ENGINE)
    with pytest.raises(SetupError, match="no model card"):
        read_engine_file(path)


def test_it_runs_where_it_was_built() -> None:
    header().check(Path("model.engine"), "10.16.1.11", H200)


@pytest.mark.parametrize(
    ("tensorrt", "gpu", "cause"),
    [
        ("10.16.1.12", H200, "TensorRT 10.16.1.11, but this machine has 10.16.1.12"),
        ("11.4.0.106", H200, "TensorRT 10.16.1.11, but this machine has 11.4.0.106"),
        ("10.16.1.11", ADA, "built for NVIDIA H200, but this machine has NVIDIA L4"),
        ("10.16.1.11", replace(H200, name="NVIDIA H100"), "has NVIDIA H100"),
    ],
)
def test_a_wrong_machine_is_refused_with_the_command_that_rebuilds_the_file(
    tensorrt: str, gpu: Gpu, cause: str
) -> None:
    with pytest.raises(SetupError) as caught:
        header().check(Path("model.engine"), tensorrt, gpu)
    assert cause in caught.value.cause
    assert REBUILD in caught.value.remedy


def test_a_version_compatible_engine_runs_with_later_versions_only() -> None:
    made = header(version_compatible=True)
    made.check(Path("model.engine"), "10.17.0.1", H200)
    made.check(Path("model.engine"), "11.4.0.106", H200)
    with pytest.raises(SetupError, match=r"has 10\.9\.0"):
        made.check(Path("model.engine"), "10.9.0.34", H200)


def test_a_hardware_compatible_engine_runs_from_ampere_on() -> None:
    made = header(hardware_compatible=True)
    made.check(Path("model.engine"), "10.16.1.11", ADA)
    with pytest.raises(SetupError, match="T4"):
        made.check(Path("model.engine"), "10.16.1.11", TURING)


def test_shapes_are_read_as_they_are_written() -> None:
    made = Profile.parse("1x64x64", "4x128x128", "8x256x256")
    assert made == PROFILES[0]
    assert str(made) == "--min 1x64x64 --opt 4x128x128 --max 8x256x256"


@pytest.mark.parametrize(
    "shapes",
    [
        ("1x64", "4x128x128", "8x256x256"),
        ("1x64x64", "4x128x512", "8x256x256"),
        ("1x64x64", "4x128x128", "0x256x256"),
        ("2x64x64", "4x128x128", "8x256x256"),
        ("1x64x64", "-4x128x128", "8x256x256"),
    ],
)
def test_invalid_shapes_are_usage_errors(shapes: tuple[str, str, str]) -> None:
    with pytest.raises(UsageError):
        Profile.parse(*shapes)


def test_a_profile_covers_shapes_up_to_its_largest() -> None:
    assert PROFILES[0].covers(256, 256)
    assert PROFILES[0].covers(32, 64)
    assert not PROFILES[0].covers(288, 256)
