"""The included model beside other projects' networks, at their published sizes with random weights.

    python benchmarks/models.py export FOLDER    write each network as ONNX, squares of its own size
    python benchmarks/models.py check FOLDER --still PHOTO --film CLIP    run each by the command line
    python benchmarks/models.py speed FOLDER     time all of them in turns, on this CPU

`export` needs `colorcli[train,spandrel]`; the others need only the files. `check` fails unless every luma
value stays, and prints how far the colors of a still are from those that the network gives by ONNX Runtime
and scikit-image alone, in code values. `speed` times all models in turns, so that other load affects them
alike: what one picture costs (luma to chroma, the fastest of several), and its ratio to the included model's.

The last result is in docs/models.md.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import av
import cv2
import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from colorcli.models import ModelAdapter, open_model
from colorcli.options import DEFAULT_MODEL

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)
KINDS = {
    "eccv16": "eccv16",
    "siggraph17": "siggraph17",
    "siggraph17-hints": "siggraph17",
    "deoldify-artistic": "deoldify",
    "deoldify-stable": "deoldify",
    "ddcolor-tiny": "ddcolor",
    "ddcolor-large": "ddcolor",
}
INPUTS = {1: ("input",), 3: ("input_A", "input_B", "mask_B")}
Folder = Annotated[Path, typer.Argument(help="Folder of the ONNX files.")]


@app.command()
def export(
    folder: Folder, free: Annotated[bool, typer.Option(help="Leave height and width free.")] = False
) -> None:
    """Write every network; files that exist stay."""
    import torch
    from published_networks import NETWORKS

    folder.mkdir(parents=True, exist_ok=True)
    for name, (make, size, channels) in NETWORKS.items():
        path = folder / f"{name}.onnx"
        if path.exists():
            continue
        torch.manual_seed(0)
        network = make().eval()
        names = INPUTS[len(channels)]
        axes = {key: {2: "height", 3: "width"} for key in (*names, "output")} if free else None
        torch.onnx.export(
            network, tuple(torch.zeros(1, count, size, size) for count in channels), path,
            input_names=names, output_names=["output"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
        millions = sum(one.numel() for one in network.parameters()) / 1e6
        typer.echo(f"{name}: {millions:.1f} million parameters, {path.stat().st_size / 2**20:.0f} MB")


@app.command()
def check(
    folder: Folder,
    still: Annotated[Path, typer.Option(help="A gray photograph.")],
    film: Annotated[Path, typer.Option(help="A short gray film.")],
) -> None:
    """Run every file through `colorcli run` on a still and a film."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, path in files(folder):
            flags = ["--model", str(path), "--model-kind", KINDS[name], "--overwrite"]
            color = Path(temporary) / "color.png"
            square = Path(temporary) / "gray.png"
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            height, width = session.get_inputs()[0].shape[2:]
            gray = cv2.resize(read(still, 0), (width, height), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(square), gray)
            expected = known_answer(session, KINDS[name], gray / 255)
            del session  # large networks are opened one at a time
            colorcli(square, color, flags)
            rgb = read(color)[..., ::-1].astype(float)
            assert (np.rint(rgb @ [0.299, 0.587, 0.114]) == gray).all(), f"{name} moves luma"
            distance = np.abs(chroma(rgb / 255) - expected).mean() * 255
            spread = np.abs(expected).mean() * 255
            colorized = Path(temporary) / "color.mkv"
            begin = time.perf_counter()
            colorcli(film, colorized, [*flags, "--codec", "ffv1"])
            seconds = time.perf_counter() - begin
            frames = lumas(colorized)
            assert all(map(np.array_equal, lumas(film), frames)), f"{name} moves luma of film"
            typer.echo(
                f"{name}: still {distance:.2f} of {spread:.1f} code values from the answer, luma exact; "
                f"film {len(frames)} frames in {seconds:.0f} s, luma exact"
            )


@app.command()
def speed(
    folder: Folder,
    calls: Annotated[int, typer.Option(help="Calls of each model.")] = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads; all by default.")] = None,
) -> None:
    """Time every model on a picture of its working size."""
    paths = {
        "colorcli": (DEFAULT_MODEL, "colorcli"),
        **{name: (path, KINDS[name]) for name, path in files(folder)},
    }
    models = {name: open_model(path, "cpu", threads, kind) for name, (path, kind) in paths.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for index in range(calls + 1):
        for name, model in models.items():
            elapsed = timed(model)
            if index:  # memory is allocated in the first call
                times[name].append(elapsed)
    ours = min(times["colorcli"])
    typer.echo(
        "| Model | Working size | Seconds per picture | Times the included model's |\n|---|---|---|---|"
    )
    for name, seconds in times.items():
        best = min(seconds)
        typer.echo(f"| {name} | {models[name].card.working_size} | {best:.3f} | {best / ours:.0f} |")


def files(folder: Path) -> list[tuple[str, Path]]:
    return [(name, folder / f"{name}.onnx") for name in KINDS if (folder / f"{name}.onnx").exists()]


def timed(model: ModelAdapter) -> float:
    side = model.card.working_size
    luma = np.random.default_rng(0).random((side, side), np.float32)
    begin = time.perf_counter()
    model.predict([luma], [None])
    return time.perf_counter() - begin


def colorcli(source: Path, output: Path, flags: Sequence[str]) -> None:
    command = [sys.executable, "-m", "colorcli", "run", str(source), "-o", str(output), *flags]
    subprocess.run(command, check=True, capture_output=True)


def known_answer(session: Any, kind: str, luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The right chroma [2, H, W], by other code than colorcli's."""
    gray = np.repeat(luma[..., None], 3, axis=-1)
    lightness = rgb2lab(gray)[..., :1]
    source = {"ddcolor": gray, "deoldify": 255 * gray}.get(kind, lightness)
    values = [source, np.zeros((*luma.shape, 2)), np.zeros((*luma.shape, 1))]
    tensors = {
        spec.name: value.transpose(2, 0, 1)[None].astype(np.float32)
        for spec, value in zip(session.get_inputs(), values, strict=False)
    }
    output = session.run(None, tensors)[0][0].transpose(1, 2, 0)
    rgb = output / 255 if kind == "deoldify" else lab2rgb(np.concatenate([lightness, output], axis=-1))
    return chroma(rgb)


def read(path: Path, mode: int = cv2.IMREAD_COLOR) -> NDArray[Any]:
    picture: NDArray[Any] | None = cv2.imread(str(path), mode)
    assert picture is not None, f"{path} cannot be read"
    return picture


def chroma(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    luma = rgb @ [0.299, 0.587, 0.114]
    return np.stack([(rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402])


def lumas(path: Path) -> list[NDArray[np.uint8]]:
    """The luma of every frame of an 8-bit film."""
    found = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            found.append(rows[: plane.height, : plane.width].copy())
    return found


if __name__ == "__main__":
    app()
