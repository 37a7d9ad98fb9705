"""`colorcli touch`: a page on this machine on which a click on a picture becomes a color hint."""

import tempfile
import webbrowser
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import UsageError
from colorcli.options import (
    DEFAULT_MODELS,
    NO_KINDS,
    Device,
    Flag,
    ModelFiles,
    ModelKinds,
    Saturation,
    WorkingSize,
)


@with_options
def touch(
    source: Annotated[Path, Argument(metavar="FILM|PICTURE", help="A photograph or a film.")],
    output: Annotated[
        Path | None,
        Flag("Hint file (.json) for a picture, folder of references for a film.", short="-o", metavar="OUT"),
    ] = None,
    model: ModelFiles = DEFAULT_MODELS,
    model_kind: ModelKinds = NO_KINDS,
    device: Device = "auto",
    size: WorkingSize = None,
    saturation: Saturation = 1.0,
    port: Annotated[int, Flag("Port on this machine; 0 takes a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, Flag("Open the page in the browser.")] = True,
) -> None:
    """Choose colors by clicking into a picture or a film, and save them for `run`.

    The page is served to this machine only, under an address that nobody can guess. End it with Ctrl-C.
    """
    from colorcli.cli.touch_server import TouchServer
    from colorcli.cli.touch_subject import open_subject
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.models import open_model

    if not source.is_file():
        raise UsageError(source, "is not a file", "give a photograph or a film")
    predictor_of = partial(ChromaPredictor, size=size, saturation=saturation)
    with (
        open_model(model, device, kinds=model_kind) as opened,
        tempfile.TemporaryDirectory(prefix="colorcli-") as folder,
        open_subject(source, output, predictor_of(opened), Path(folder)) as subject,
        TouchServer(subject, port) as server,
    ):
        subject.saved()  # what cannot be read must not be replaced
        typer.echo(
            f"{server.address}\nEnd with Ctrl-C. Hints are saved to {subject.output} by a click on Save."
        )
        if browser:
            webbrowser.open(server.address)
        server.serve_forever()
