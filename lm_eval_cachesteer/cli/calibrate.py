"""`cachesteer calibrate`: how strongly to steer, found without labels."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from tqdm import tqdm

from ..errors import ArgumentError, ContrastError
from ..strict_json import parse_json
from .output import AsJson, check_vector_file, chosen_by, kept_clean, print_json
from .terminal import terminal

if TYPE_CHECKING:
    from ..core.vectors import SteeringVectors


def calibrate(
    vectors: Annotated[str, typer.Option(help="Vectors: a file, or a name listed by `cachesteer vectors`.")],
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder; by default the embedded model.")] = None,
    dose: Annotated[float, typer.Option(help="Target, in nats.")] = 1.0,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer that count.")] = 16,
    keys: Annotated[float, typer.Option(help="c_keys for each unit of c_values.")] = 0.0,
    prompts: Annotated[
        Path | None,
        typer.Option(help='JSONL file with a "prompt" in each line. Default: questions of the contrast set.'),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many prompts.")] = 32,
    out: Annotated[
        Path | None, typer.Option(help="Vector file to write. Default: the file itself, if --vectors names one.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts in one batch.")] = 8,
    device: Annotated[str | None, typer.Option(help="torch device; by default the accelerator.")] = None,
    dtype: Annotated[str, typer.Option(help="Model dtype.")] = "float32",
    as_json: AsJson = False,
) -> None:
    """Find the coefficients at which steering changes the model's next tokens by a given dose, and record them.

    The dose is the 95th percentile of the KL divergence from the unsteered model over the first tokens of its answers.
    It takes a few dozen prompts and no labels.

    Example: cachesteer calibrate --vectors mine.safetensors --pretrained Qwen/Qwen2.5-0.5B-Instruct
    """
    from ..calibration import DoseMeter
    from ..calibration import calibrate as find
    from ..core.architecture import Architecture, check_architecture
    from ..sources.models import load_model
    from ..sources.resolve import resolve_vectors

    if out is not None:
        check_vector_file(out)
    asked = None if prompts is None else read_prompts(prompts)
    named = resolve_vectors(vectors)  # what is wrong with them is said before the model is loaded
    if len(named) != 1 or named[0].weight != 1:
        raise ArgumentError(f"--vectors {vectors!r} is a sum. Calibrate one vector file at a time.")
    with kept_clean(as_json):
        loaded = load_model(pretrained, device=device, dtype=dtype)
    architecture = Architecture.of(loaded.model.config)
    (term,) = resolve_vectors(vectors, architecture=architecture, model_id=loaded.model_id)
    given = term.vectors
    check_architecture(term.name, given.metadata.architecture, architecture)
    texts = (questions_of(given) if asked is None else asked)[:limit]
    with tqdm(total=len(texts), desc="Answering", unit="prompt") as bar:
        meter = DoseMeter(
            loaded.model,
            [encoded_prompt(text, given, loaded.tokenizer) for text in texts],
            tokens=tokens,
            pad_token_id=loaded.tokenizer.pad_token_id or 0,
            batch_size=batch_size,
            on_batch=lambda done: bar.update(done - bar.n) and None,
        )
    found = find(meter, given, target=dose, keys_per_value=keys)
    path = out or (Path(vectors) if Path(vectors).is_file() else None)
    if path is not None:
        with chosen_by("--vectors" if out is None else "--out"):
            given.recommend(found.c_keys, found.c_values).save(path)
    if as_json:
        print_json(asdict(found) | {"prompts": len(texts), "written": str(path) if path else None})
        return
    table = Table("c_values", "dose, nats")
    for c_values, measured in sorted(found.tried):
        table.add_row(f"{c_values:.4g}", f"{measured:.4g}", style="bold" if c_values == found.c_values else "")
    console = terminal()
    console.print(table)
    where = (
        f"recorded in {path}" if path else "not recorded: shipped vectors stay as they are, --out FILE writes a copy"
    )
    console.print(
        f"c_keys {found.c_keys:.4g}, c_values {found.c_values:.4g}: {found.dose:.3g} nats on {len(texts)} prompts; "
        f"{where}.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def questions_of(vectors: "SteeringVectors") -> list[str]:
    """The questions that vectors were made from.

    Raises:
        ContrastError: Their contrast set is not there, or holds no questions.
    """
    from ..core.contrast import ContrastItem
    from ..sources.resolve import resolve_contrast_set

    contrast = resolve_contrast_set(vectors.metadata.contrast_set)
    questions = [item.question for item in contrast.items if isinstance(item, ContrastItem)]
    if not questions:
        raise ContrastError(f"{contrast.name!r} holds ready pairs, no questions. Give --prompts FILE.")
    return questions


def read_prompts(path: Path) -> list[str]:
    """Prompts of a JSONL file.

    Raises:
        ArgumentError: The file cannot be read, or holds something else.
    """
    try:
        content = path.read_text(encoding="utf-8")
        lines = [parse_json(line, strict=True) for line in content.splitlines() if line.strip()]
        texts = [line["prompt"] for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(
            f'--prompts {path} cannot be read ({error}). One JSON object with a "prompt" a line was expected.'
        ) from None
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ArgumentError(f'--prompts {path}: each "prompt" must be a text that is not empty.')
    return texts


def encoded_prompt(text: str, vectors: "SteeringVectors", tokenizer: Any) -> list[int]:
    """A prompt as it is when steered: chat-templated if the vectors' prompts were, offset token at its end."""
    metadata = vectors.metadata
    if metadata.chat_template_sha256:
        message = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=not metadata.chat_template_sha256)
    return ids + ([metadata.offset_token_id] if metadata.offset_token_id is not None else [])
