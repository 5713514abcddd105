"""`cachesteer study`: the paper's whole comparison in one command."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from tqdm import tqdm

from ..errors import CachesteerError
from . import leaderboard, report

if TYPE_CHECKING:
    from ..core.metadata import VectorMetadata


def study(
    vectors: Annotated[str, typer.Option(help="Vectors: a name, a file, or a sum.")] = "stepwise",
    tasks: Annotated[
        str, typer.Option(help="Tasks of the harness, separated by commas; those with a variant NAME_cot get that too.")
    ] = "cachesteer_offline_choice,cachesteer_offline_word_problems",
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder; by default the embedded model.")] = None,
    model_args: Annotated[str, typer.Option(help="More arguments for all models, such as dtype=bfloat16.")] = "",
    steering: Annotated[str, typer.Option(help="More steering arguments, such as c_values=4,layers=10-20.")] = "",
    contrast: Annotated[
        str | None, typer.Option(help="Contrast set of the activation vector. Default: that of the vectors.")
    ] = None,
    activation: Annotated[bool, typer.Option("--activation/--no-activation", help="Activation steering too.")] = True,
    layer: Annotated[int | None, typer.Option(min=0, help="Its layer. Default: the middle one.")] = None,
    coefficient: Annotated[float, typer.Option(help="Its coefficient.")] = 1.0,
    sampled: Annotated[bool, typer.Option("--sampled", help="Ask by sampling too, as the paper does.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N documents of each task.")] = None,
    batch_size: Annotated[str, typer.Option(help="Rows in one batch, or auto.")] = "16",
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template/--no-chat-template", help="Chat-templated prompts.")
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder of the runs, and of report.html.")] = Path("runs/study"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run finished arms again.")] = False,
) -> None:
    """Compare baseline, CoT prompt, cache steering, both, and activation steering on the same documents.

    Each arm is a run of lm_eval; finished ones are kept, so that a study that was stopped goes on. At its end: the
    leaderboard with paired differences, and report.html.

    Example: cachesteer study --vectors stepwise --tasks cachesteer_offline_choice --limit 40
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.utils import simple_parse_args_string
    from transformers import AutoConfig

    from ..core.architecture import Architecture
    from ..harness.registration import register
    from ..sources.embedded import ensure_embedded_model
    from ..sources.models import model_id_of
    from ..sources.resolve import resolve_vectors
    from ..study import Record, arms, command, tasks_of

    register()
    console = Console()
    common: dict[str, Any] = {"pretrained": pretrained or str(ensure_embedded_model())}
    common |= simple_parse_args_string(model_args)
    config = AutoConfig.from_pretrained(common["pretrained"])
    architecture, model_id = Architecture.of(config), model_id_of(common["pretrained"])
    metadata = resolve_vectors(vectors, architecture=architecture, model_id=model_id)[0].vectors.metadata
    steered = {"vectors": vectors} | simple_parse_args_string(steering)
    of_activation = None
    if activation:
        path = out / "activation.pt"
        _extract_activation(path, common["pretrained"], metadata, contrast, layer, coefficient)
        of_activation = {"steer_path": str(path)}
    known = TaskManager().all_tasks
    asked = [name.strip() for name in tasks.split(",") if name.strip()]
    options = ["--batch_size", batch_size, *(["--limit", str(limit)] if limit else [])]
    options += ["--apply_chat_template"] if apply_chat_template else []
    record = Record(out)
    for arm in arms(common, steered, metadata.offset_token, of_activation, sampled):
        present = tasks_of(arm, asked, known)
        if not present:
            console.print(f"{arm.name}: left out, no task has a variant *{arm.suffix}.", highlight=False, markup=False)
            continue
        words = command(arm, present, record.folder_of(arm), options)
        if not fresh and record.is_finished(arm, words):
            console.print(f"{arm.name}: kept from before.", highlight=False, markup=False)
            continue
        shutil.rmtree(record.folder_of(arm), ignore_errors=True)  # what an interrupted or different run left
        _run(console, arm.name, words)
        record.finish(arm, words)
    console.print()
    leaderboard.leaderboard([str(out)])
    report.report([str(out)], out=out / "report.html")


def _extract_activation(
    path: Path, pretrained: str, metadata: "VectorMetadata", contrast: str | None, layer: int | None, coefficient: float
) -> None:
    """Writes the activation vector, from the pairs that the vectors come from, unless the same one is there."""
    from ..activation import extract_activation, save_for_harness
    from ..core.prompts import PromptSettings, build_pairs
    from ..files import write_atomically
    from ..sources.models import load_model
    from ..sources.resolve import resolve_contrast_set

    contrast_set = resolve_contrast_set(contrast or metadata.contrast_set)
    settings, against, count = PromptSettings(), None, None
    if contrast is None:
        contrast_set = contrast_set.only(metadata.contrast_items)
        against = resolve_contrast_set(metadata.against_set) if metadata.against_set else None
        settings, count = PromptSettings(fewshot=metadata.fewshot_count), metadata.pair_count
    recipe = json.dumps([pretrained, contrast_set.sha256, against and against.sha256, count, layer, coefficient])
    noted = path.with_suffix(".json")
    if path.is_file() and noted.is_file() and noted.read_text(encoding="utf-8") == recipe:
        return
    loaded = load_model(pretrained, dtype="float32")
    pairs = build_pairs(contrast_set, loaded.tokenizer, settings, against)[:count]
    with tqdm(total=len(pairs), desc="Extracting the activation vector", unit="pair") as bar:
        name, vector = extract_activation(loaded.model, pairs, layer, bar.update)
    save_for_harness(path, name, vector, coefficient)
    write_atomically(noted, recipe.encode())


def _run(console: Console, name: str, words: list[str]) -> None:
    console.print(f"\n[bold]{name}[/]\n$ lm_eval {shlex.join(words)}", highlight=False, soft_wrap=True)
    sys.stdout.flush()  # before the other process writes
    finished = subprocess.run([sys.executable, "-m", "lm_eval_cachesteer", *words], check=False)  # noqa: S603 - ours
    if finished.returncode:
        raise CachesteerError(
            f"{name}: lm_eval ended with exit code {finished.returncode}; its message is above. Finished arms are kept."
        )
