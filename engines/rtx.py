"""TensorRT for RTX cards: ONNX models compiled for one card, as files and in the user's cache.

A compiled model is an ONNX file with one `EPContext` node, which holds the network as TensorRT's engine.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError

from colorcli.engines.cache import cache_folder
from colorcli.engines.digest import file_digest
from colorcli.engines.engine_file import REBUILD_KEY, Profile, RtxOptions
from colorcli.engines.gpus import find_gpus
from colorcli.engines.input_ranges import input_ranges
from colorcli.engines.plugins import PLUGINS
from colorcli.errors import SetupError
from colorcli.files import atomic_write

KEY = "colorcli.rtx"
"""Key of the header's JSON text in the metadata of a compiled model."""
CONTEXT = "EPContext"
ERRORS = 3
"""ONNX Runtime's log level that leaves out warnings."""
ANY_SHAPE = Profile((1, 32, 32), (1, 256, 352), (16, 1024, 1024))
"""Shapes where none are asked for: TensorRT's own profile without limits is experimental."""


@dataclass(frozen=True)
class RtxHeader:
    """What a compiled model runs on."""

    target: str
    """Architecture, such as `sm89`."""
    library: str
    """Version of the plugin that compiled it."""


def compile_model(model: Path, output: Path, options: RtxOptions, rebuild: str) -> None:
    """Compile an ONNX model, and write it with its metadata and a header.

    Raises:
        SetupError: the plugin is missing, has no card to compile with, or refuses the model.
    """
    device = card(0)
    session = ort.SessionOptions()
    session.log_severity_level = ERRORS
    target = options.target or str(device.ep_metadata["target_architecture"])
    session.add_provider_for_devices(
        [device], {"nv_target_sm": target, **_shapes(model, options.profiles or (ANY_SHAPE,))}
    )
    try:
        compiler = ort.ModelCompiler(session, str(model), embed_compiled_data_into_model=True)
        compiler.compile_to_file(str(output))
        compiled = onnx.load(output)
    except Exception as error:  # onnxruntime's own exceptions share no base class but this
        raise SetupError(
            model, f"TensorRT for RTX cannot compile it ({error})", "use --device webgpu"
        ) from error
    if {node.op_type for node in compiled.graph.node} != {CONTEXT}:
        raise SetupError(model, "TensorRT for RTX takes parts of it only", "use --device webgpu")
    header = RtxHeader(target, str(device.ep_metadata["version"]))
    metadata = {entry.key: entry.value for entry in compiled.metadata_props}
    metadata |= {KEY: json.dumps(asdict(header)), REBUILD_KEY: rebuild}
    onnx.helper.set_model_props(compiled, metadata)
    onnx.save(compiled, output)


def card(index: int) -> Any:
    """The plugin's device of this number.

    Raises:
        SetupError: the plugin is missing or does not load, or there is no such card.
    """
    devices = PLUGINS["rtx"].devices()
    if index >= len(devices):
        cause = f"TensorRT for RTX finds {len(devices)} cards that it runs on, counted from 0"
        remedy = "RTX 30, 40 and 50 only; for other NVIDIA cards: colorcli export default -o model.engine"
        raise SetupError(f"rtx:{index}", cause, remedy)
    return devices[index]


def check(path: Path, index: int) -> None:
    """Check that a compiled model runs on the card of this number.

    Raises:
        SetupError: it does not; the remedy is the command that compiles it again.
    """
    try:
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        header, rebuild = RtxHeader(**json.loads(metadata[KEY])), metadata[REBUILD_KEY]
    except (OSError, DecodeError, KeyError, TypeError, ValueError) as error:
        remedy = f"compile it again: colorcli export default -o {path} --overwrite"
        raise SetupError(path, "damaged, or not a model compiled by `colorcli export`", remedy) from error
    found = card(index).ep_metadata
    remedy = f"compile it again: {rebuild}"
    if header.target != found["target_architecture"]:
        cause = f"compiled for {header.target}, but this machine's card is {found['target_architecture']}"
        raise SetupError(path, cause, remedy)
    if _version(header.library) > _version(found["version"]):
        cause = f"compiled by version {header.library} of the plugin, but this machine has {found['version']}"
        raise SetupError(path, cause, remedy)


def compiled_in_cache(model: Path, index: int) -> Path:
    """The model compiled for the card of this number, from the user's cache, where it is put at first use.

    Raises:
        SetupError: as `compile_model`.
    """
    device = card(index)
    parts = [
        file_digest(model),
        device.ep_metadata["target_architecture"],
        device.ep_metadata["version"],
        [asdict(gpu) for gpu in find_gpus()],
    ]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    compiled = cache_folder("rtx") / f"{name}.rtx.onnx"
    if not compiled.exists():
        with atomic_write(compiled) as partial:
            compile_model(model, partial, RtxOptions(), "colorcli run --device rtx")
    return compiled


def _shapes(model: Path, profiles: Sequence[Profile]) -> dict[str, str]:
    """The plugin's options for ranges of shapes: `condition:1x4x256x256`, one entry for each profile."""
    ranges = [item for profile in profiles for item in input_ranges(model, profile).items()]
    if not ranges:
        return {}
    options = {
        f"nv_profile_{bound}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, shapes[place]))}" for name, shapes in ranges
        )
        for place, bound in enumerate(("min", "opt", "max"))
    }
    return options | ({"nv_multi_profile_enable": "1"} if len(profiles) > 1 else {})


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
