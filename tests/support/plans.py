"""Plans and their headers for tests of TensorRT without TensorRT."""

from colorcli.core.card import ModelCard
from colorcli.engines.plan_file import Gpu, PlanHeader, PlanOptions, Profile

PROFILE = Profile((1, 64, 64), (2, 96, 96), (4, 128, 128))
LARGER = Profile((1, 64, 64), (1, 256, 256), (1, 256, 256))
ONE_PROFILE = PlanOptions((PROFILE,))
GPU = Gpu("NVIDIA H200", (9, 0))
REBUILD = "colorcli export generator.safetensors -o model.engine"
PLAN = b"a plan"


def header(version: str, *profiles: Profile) -> PlanHeader:
    card = ModelCard(name="test", version="1", architecture="toy")
    return PlanHeader(card, version, GPU, PlanOptions(profiles or (PROFILE,)), REBUILD, len(PLAN))
