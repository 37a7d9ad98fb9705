"""DDColor checkpoints in PyTorch: the published architecture, narrow and with random weights."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from support.cli import run_cli
from support.images import gray, load, save

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel", reason="pip install 'colorcli[spandrel]'")
ddcolor = pytest.importorskip("spandrel_extra_arches.architectures.DDColor", reason="colorcli[spandrel]")

from colorcli import engines  # noqa: E402
from colorcli.errors import SetupError  # noqa: E402
from colorcli.models import open_model  # noqa: E402


@pytest.fixture(scope="module")
def network() -> "torch.nn.Module":
    """The smallest that is published, with random weights scaled to colors."""
    torch.manual_seed(0)
    network = ddcolor.DDColor(
        encoder_name="convnext-t", last_norm="Spectral", num_output_channels=2, num_queries=100
    )
    sample = torch.rand(1, 3, 64, 64)
    last = network.decoder.color_decoder.color_embed.layers[-1]
    with torch.no_grad():
        network.train()(sample)  # spectral norm measures the weights in training only
        factor = 60 / network.eval()(sample).abs().max()
        last.weight *= factor
        last.bias *= factor
    return network


@pytest.fixture(scope="module", params=["m.pth", "m.pt", "m.safetensors"])
def checkpoint(
    request: pytest.FixtureRequest, network: "torch.nn.Module", tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint as its authors save it (`.pth`, under `params`), and as hosts convert it."""
    path = tmp_path_factory.mktemp("checkpoint") / request.param
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(weights, path)
    else:
        torch.save({"params": weights}, path)
    return path


def test_it_gives_what_the_network_gives(checkpoint: Path, network: "torch.nn.Module") -> None:
    source = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    with engines.open(checkpoint, "cpu") as engine, torch.inference_mode():
        expected = network(torch.from_numpy(source)).numpy()
        np.testing.assert_allclose(engine.run({"input": source})["output"], expected, atol=1e-3)


def test_the_kind_is_known_without_a_flag(checkpoint: Path) -> None:
    with open_model(checkpoint, "cpu") as model:
        assert model.kind == "ddcolor"
        assert model.card.working_size == 512


def test_a_still_keeps_its_luma(checkpoint: Path, tmp_path: Path) -> None:
    picture = np.rint(np.linspace(90, 170, 64))[None].repeat(64, axis=0).astype(np.uint8)
    source, output = save(tmp_path / "gray.png", picture), tmp_path / "color.png"
    done = run_cli("run", source, "-o", output, "--model", checkpoint, "--size", 64)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(gray(load(output)), picture)


class Hostile:
    def __reduce__(self) -> object:
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize("content", [{"params": {"weight": 1}}, {"params": Hostile()}, b"not a checkpoint"])
def test_what_is_no_checkpoint_of_ddcolor_is_refused(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            torch.save(content, file, pickle_module=pickle)
    with pytest.raises(SetupError, match=r"m\.pth: .*DDColor"):
        engines.open(path, "cpu")
    assert not Path("touched").exists()
