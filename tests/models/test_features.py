"""Features: the included generator's own inner tensors, for pictures of any size."""

import numpy as np
import onnxruntime as ort
import pytest

from colorcli.color.condition import condition
from colorcli.engines.onnx_graph import cut_before
from colorcli.models.features import CELL, CHANNELS, FeatureExtractor
from colorcli.options import DEFAULT_MODEL


@pytest.mark.parametrize("shape", [(64, 64), (90, 161), (400, 256), (9, 300)])
def test_every_cell_has_features_of_length_one(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(1).random(shape, np.float32)
    features, cells = FeatureExtractor()(luma)
    assert features.shape == (*cells.shape, CHANNELS)
    assert abs(cells.shape[0] * CELL - min(shape[0], 256 * shape[0] // min(shape))) <= CELL
    assert np.linalg.norm(features, axis=-1) == pytest.approx(1, abs=1e-4)
    assert np.abs(cells.mean() - luma.mean()) < 0.05


def test_a_cut_model_computes_what_the_whole_one_does() -> None:
    onnx = pytest.importorskip("onnx", reason="names of inner tensors are read with onnx")
    weight = "generator.encoder.blocks.6.expand.weight"
    whole = onnx.load(DEFAULT_MODEL)
    (name,) = [node.input[0] for node in whole.graph.node if weight in node.input]
    whole.graph.output.append(onnx.ValueInfoProto(name=name))
    fed = {"condition": condition(np.random.default_rng(1).random((64, 96), np.float32))[None]}
    options = ort.SessionOptions()
    options.log_severity_level = 3
    models = whole.SerializeToString(), cut_before(DEFAULT_MODEL.read_bytes(), [weight])
    sessions = [ort.InferenceSession(model, options, ["CPUExecutionProvider"]) for model in models]
    assert len(sessions[1].get_outputs()) == 1
    assert np.array_equal(sessions[0].run([name], fed)[0], sessions[1].run(None, fed)[0])


def test_a_model_without_the_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no other"):
        cut_before(DEFAULT_MODEL.read_bytes(), ["other"])
