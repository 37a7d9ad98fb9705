"""A generator in which every weight has an effect, as a checkpoint and exported."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained generator whose every weight and batch norm statistic has an effect."""
    torch = pytest.importorskip("torch", reason="pip install 'colorcli[train]'")
    from colorcli.networks.card import ModelCard
    from colorcli.networks.checkpoint import save_generator
    from colorcli.networks.mobile_unet import MobileUNet

    torch.manual_seed(0)
    generator = MobileUNet().eval()
    for name, value in generator.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
    generator.detail.weight.data.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("checkpoint") / "generator.safetensors"
    save_generator(generator, ModelCard(name="test", version="1", architecture="mobile_unet"), path)
    return path


@pytest.fixture(scope="session")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint as ONNX in float32."""
    from colorcli.engines.builders.onnx import export_onnx

    path = tmp_path_factory.mktemp("exported") / "generator.onnx"
    export_onnx(checkpoint, path)
    return path
