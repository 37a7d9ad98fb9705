"""Builds a TensorRT engine through torch2trt; for TensorRT 10, the last version that torch2trt supports."""

from pathlib import Path

import tensorrt as trt
import torch
from torch2trt import torch2trt

from colorcli.engines.engine_file import EngineOptions
from colorcli.errors import SetupError, UsageError
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.checkpoint import load_generator


def build_engine_via_torch2trt(checkpoint: Path, options: EngineOptions, precision: str) -> bytes:
    """Build an engine from a checkpoint on the current GPU, and return it serialized.

    Raises:
        InputError: the file is not a generator checkpoint.
        UsageError: torch2trt cannot pass these options to TensorRT.
        SetupError: the build failed.
    """
    if precision not in ("fp32", "fp16"):
        raise UsageError(precision, "torch2trt builds fp32 and fp16", "leave out --via for this precision")
    if len(options.profiles) > 1 or options.version_compatible or options.hardware_compatible:
        cause = "torch2trt builds one profile, for this version and GPU"
        raise UsageError("--via torch2trt", cause, "leave out --via for more")
    generator, _ = load_generator(checkpoint)
    fold_batch_norm(generator)
    (profile,) = options.profiles
    low, best, high = ((n, 4, h, w) for n, h, w in (profile.min, profile.opt, profile.max))
    module = torch2trt(
        generator.cuda(),
        [torch.zeros(best, device="cuda")],
        fp16_mode=precision == "fp16",
        use_onnx=True,  # its own converters lack this kind of resize
        input_names=["condition"],
        output_names=["chroma"],
        min_shapes=[low],
        opt_shapes=[best],
        max_shapes=[high],
    )
    if module.engine is None:  # torch2trt does not check, and would fail at the first picture
        cause = f"torch2trt built no engine with TensorRT {trt.__version__}"
        raise SetupError(checkpoint, cause, "leave out --via")
    return bytes(memoryview(module.engine.serialize()))
