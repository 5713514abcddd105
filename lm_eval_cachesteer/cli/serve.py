"""`cachesteer serve`: vLLM's OpenAI-compatible server, with requests that can be steered."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ArgumentError
from .output import AsJson, console, print_json

_OURS = ("--model", "--scheduler-cls", "--kv-transfer-config")


def serve(
    options: Annotated[list[str] | None, typer.Argument(help="Options of vLLM's server, after --.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder. Default: the embedded model.")] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Folder of vectors, NAME.safetensors each. Default: the shipped ones.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8000,
    as_json: AsJson = False,
) -> None:
    """Serve a model with vLLM; a request chooses vectors and coefficients by name, in `vllm_xargs`.

    Needs the extra `vllm`. With --json nothing is served: vLLM's command line and the names of the vectors are printed.

    Example: cachesteer serve --pretrained org/model --vectors my-vectors -- --tensor-parallel-size 2
    """
    from ..sources.embedded import MODEL_ID, ensure_embedded_model
    from ..sources.folders import vectors_folder
    from ..vllm.launch import server_arguments
    from ..vllm.versions import check_version

    words = options or []
    taken = [word for word in words if word.partition("=")[0] in _OURS]
    if taken:
        raise ArgumentError(f"{', '.join(taken)} given, which serve sets itself. Use --pretrained and --vectors.")
    folder = vectors or vectors_folder()
    if not folder.is_dir():
        raise ArgumentError(f"--vectors {folder}: no such folder. Name one with files NAME.safetensors.")
    model = str(ensure_embedded_model()) if pretrained is None else pretrained
    names = _names(folder, model)
    named = [] if pretrained else ["--served-model-name", MODEL_ID]
    place = ["--host", host, "--port", str(port)]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *named, *place]
    command += [*server_arguments(vectors), *words]
    if as_json:
        print_json({"vectors": names, "command": command})
        return
    check_version()
    console(as_json).print(f"Vectors: {', '.join(names)}", markup=False, highlight=False)
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606


def _names(folder: Path, model: str) -> list[str]:
    from transformers import AutoConfig

    from ..core.architecture import Architecture
    from ..sources.models import loading, model_id_of
    from ..vllm.library import VectorLibrary

    with loading(model):
        architecture = Architecture.of(AutoConfig.from_pretrained(model))
    names = VectorLibrary(folder, architecture, model_id_of(model)).names()
    if not names:
        raise ArgumentError(f"--vectors {folder}: no vectors for {model_id_of(model)}. Make some: cachesteer extract.")
    return names
