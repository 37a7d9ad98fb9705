"""A plan by torch2trt in place of our own parser's way; for TensorRT 10, the last that torch2trt knows."""

from pathlib import Path

import tensorrt as trt
import torch
from torch2trt import torch2trt

from colorcli.engines.engine_file import EngineOptions
from colorcli.engines.pytorch import fold_batch_norm
from colorcli.errors import SetupError, UsageError
from colorcli.networks.checkpoint import load_generator


def build_engine_via_torch2trt(checkpoint: Path, options: EngineOptions, precision: str) -> bytes:
    """Compile a checkpoint on the current GPU.

    Raises:
        InputError: not a generator's checkpoint.
        UsageError: something that torch2trt has no way to ask TensorRT for.
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
        use_onnx=True,  # its own converters know no resize of this kind
        input_names=["condition"],
        output_names=["chroma"],
        min_shapes=[low],
        opt_shapes=[best],
        max_shapes=[high],
    )
    if module.engine is None:  # torch2trt itself goes on, and fails at the first picture
        raise SetupError(
            checkpoint, f"torch2trt built no plan with TensorRT {trt.__version__}", "leave out --via"
        )
    return bytes(memoryview(module.engine.serialize()))
