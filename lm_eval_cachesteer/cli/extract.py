"""`cachesteer extract`: make steering vectors from a contrast set."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from tqdm import tqdm

from .. import __version__
from ..errors import ArgumentError
from .output import AsJson, check_folder, check_vector_file, chosen_by, kept_clean, print_json

_LICENSE_OF_SHIPPED_SETS = "CC0-1.0 (contrast set); see the model's own licence for the model"


def extract(
    contrast: Annotated[str, typer.Option(help="Contrast set: a JSONL file, or a shipped name.")],
    out: Annotated[
        Path | None, typer.Option(help="Vector file to write; by default kept by name in the cache folder.")
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder; by default the embedded model.")] = None,
    kind: Annotated[str | None, typer.Option(help="What the vectors induce; by default the set's name.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Contrast set of the same questions: negative prompts show its reasonings instead of answers."
        ),
    ] = None,
    items: Annotated[str, typer.Option(help='Use only items whose id matches, such as "open-*".')] = "*",
    pairs: Annotated[int | None, typer.Option(min=1, help="Use only the first N pairs.")] = None,
    fewshot: Annotated[int, typer.Option(min=0, help="Few-shot examples in each prompt.")] = 5,
    selection: Annotated[Literal["random", "similar"], typer.Option(help="How they are chosen.")] = "random",
    seed: Annotated[int, typer.Option(help="Seed of the random selection.")] = 0,
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Chat prompts; by default if there is a chat template.")
    ] = None,
    offset_token: Annotated[str, typer.Option(help="Recorded offset token: one token, or none.")] = "\\n",
    c_keys: Annotated[float | None, typer.Option(help="Recorded as recommended.")] = None,
    c_values: Annotated[float | None, typer.Option(help="Recorded as recommended.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs in one pass.")] = 4,
    padding_side: Annotated[Literal["left", "right"], typer.Option(help="Padding side.")] = "left",
    device: Annotated[str | None, typer.Option(help="torch device; by default the accelerator.")] = None,
    dtype: Annotated[str, typer.Option(help="Model dtype.")] = "float32",
    license_note: Annotated[str | None, typer.Option("--license", help="Licence note to record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Extract steering vectors; an interrupted run goes on where it stopped.

    Example: cachesteer extract --contrast stepwise --pretrained Qwen/Qwen2.5-0.5B-Instruct --out qwen.safetensors
    """
    from ..core.architecture import Architecture, text_sha256
    from ..core.contrast import ReadyPair
    from ..core.metadata import VectorMetadata
    from ..core.prompts import PromptSettings, build_pairs
    from ..core.tokens import single_token_id, unescape
    from ..extraction import extract as extract_vectors
    from ..sources.folders import cached_vectors_folder
    from ..sources.models import load_model
    from ..sources.resolve import cached_vectors_path, check_name, is_shipped, resolve_contrast_set

    contrast_set = resolve_contrast_set(contrast)
    if items != "*":
        contrast_set = contrast_set.only(items)
    against_set = resolve_contrast_set(against) if against else None
    if out is not None:
        check_vector_file(out)
    else:
        check_name(kind or contrast_set.name)
        check_folder("CACHESTEER_CACHE", cached_vectors_folder())
    with kept_clean(as_json):
        loaded = load_model(pretrained, device=device, dtype=dtype)
    settings = PromptSettings(fewshot=fewshot, selection=selection, seed=seed, chat=chat)
    token_pairs = build_pairs(contrast_set, loaded.tokenizer, settings, against_set)[:pairs]
    offset = None if offset_token == "none" else unescape(offset_token)
    offset_id = single_token_id(offset, loaded.tokenizer) if offset else None
    if offset and offset_id is None:
        raise ArgumentError(f"--offset-token {offset!r} is not one token for this tokenizer. Try none.")
    template = loaded.tokenizer.chat_template if settings.uses_chat(contrast_set, loaded.tokenizer) else None
    ready = isinstance(contrast_set.items[0], ReadyPair)
    metadata = VectorMetadata(
        kind=kind or contrast_set.name,
        model_id=loaded.model_id,
        architecture=Architecture.of(loaded.model.config),
        chat_template_sha256=text_sha256(template),
        contrast_set=contrast_set.name,
        contrast_sha256=contrast_set.sha256,
        contrast_items=items,
        against_set=against_set.name if against_set else "",
        against_sha256=against_set.sha256 if against_set else "",
        pair_count=len(token_pairs),
        fewshot_count=0 if ready else fewshot,
        fewshot_selection="none" if ready else f"random:{seed}" if selection == "random" else selection,
        offset_token=offset,
        offset_token_id=offset_id,
        recommended_c_keys=c_keys,
        recommended_c_values=c_values,
        tool_version=__version__,
        license=license_note or (_LICENSE_OF_SHIPPED_SETS if is_shipped(contrast_set) else ""),
    )
    path = out or cached_vectors_path(metadata.kind, metadata.model_id)
    progress_file = path.with_name(f".{path.stem}.partial.safetensors")
    where = "CACHESTEER_CACHE" if out is None else "--out"
    with chosen_by(where), tqdm(total=len(token_pairs), desc=f"Extracting {metadata.kind}", unit="pair") as bar:
        vectors = extract_vectors(
            loaded.model,
            token_pairs,
            metadata,
            pad_token_id=loaded.tokenizer.pad_token_id or loaded.tokenizer.eos_token_id or 0,
            batch_size=batch_size,
            padding_side=padding_side,
            progress_file=progress_file,
            on_progress=lambda done: bar.update(done - bar.n) and None,
        )
        vectors.save(path)
    progress_file.unlink(missing_ok=True)
    given = f"vectors={path}" if c_values is not None else f"vectors={path},c_values=6"
    if as_json:
        print_json({"path": str(path), "sha256": vectors.sha256, "metadata": metadata.summary(), "model_args": given})
        return
    print(f"{path}\nsha256 of the tensors: {vectors.sha256}")
    print(f"Use them: lm_eval --model hf-cachesteer --model_args {given} --tasks ...")
