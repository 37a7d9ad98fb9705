"""An engine and its header, for tests of TensorRT without a GPU."""

from colorcli.engines.engine_file import EngineHeader, EngineOptions, Gpu, Profile
from colorcli.networks.card import ModelCard

PROFILE = Profile((1, 64, 64), (2, 96, 96), (4, 128, 128))
LARGER = Profile((1, 64, 64), (1, 256, 256), (1, 256, 256))
ONE_PROFILE = EngineOptions((PROFILE,))
GPU = Gpu("NVIDIA H200", (9, 0))
REBUILD = "colorcli export generator.safetensors -o model.engine"
ENGINE = b"an engine"


def header(version: str, *profiles: Profile, kind: str = "") -> EngineHeader:
    card = ModelCard(name="test", version="1", architecture="toy")
    options = EngineOptions(profiles or (PROFILE,))
    return EngineHeader(card, version, GPU, options, REBUILD, len(ENGINE), kind)
