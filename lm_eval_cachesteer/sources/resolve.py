"""From what a user writes (`vectors=0.5*stepwise+causal_chain`) to steering vectors."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.architecture import Architecture
from ..core.contrast import ContrastSet
from ..core.edit import WeightedVectors
from ..core.format import read_metadata
from ..core.metadata import VectorMetadata
from ..core.vectors import SteeringVectors
from ..errors import ArgumentError, ContrastError, VectorFileError, VectorMismatchError
from ..paths import exists, is_file, is_folder, user_path
from .embedded import MODEL_ID as EMBEDDED_MODEL_ID
from .folders import cached_vectors_folder, contrast_folder, vectors_folder

VECTORS_FILE = "steering.safetensors"
VECTORS_HELP = (
    "a .safetensors file or a folder with one, a name listed by `cachesteer vectors`, a hub id with or without "
    ":file, or a sum such as 0.5*stepwise+causal_chain"
)

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# A file of a repository is named by its path there; "..", which would lead out of it, is not a part of one.
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]+"
_HUB_ID = re.compile(rf"((?!\.)[A-Za-z0-9_.-]+/(?!\.)[A-Za-z0-9_.-]+)(?::({_PART}(?:/{_PART})*))?")


@dataclass(frozen=True)
class KnownVectors:
    """Vectors that can be asked for by name.

    Attributes:
        name: The name, such as "stepwise".
        path: The file.
        origin: "shipped" or "cached".
        metadata: The file's metadata.
    """

    name: str
    path: Path
    origin: str
    metadata: VectorMetadata


def known_vectors(damaged: Callable[[str, VectorFileError], object] | None = None) -> list[KnownVectors]:
    """Lists shipped and cached vectors, by name.

    Args:
        damaged: Told the name of each file that cannot be read, and why; it is then left out. By default that is an
            error.

    Raises:
        VectorFileError: A file cannot be read, and `damaged` is not given.
    """
    found = []
    for origin, folder in (("shipped", vectors_folder()), ("cached", cached_vectors_folder())):
        for path in sorted(folder.glob("*/*.safetensors")):
            if path.name.startswith("."):
                continue
            try:
                found.append(KnownVectors(path.stem, path, origin, read_metadata(path)))
            except VectorFileError as error:
                if damaged is None:
                    raise
                damaged(path.stem, error)
    return sorted(found, key=lambda known: (known.name, known.origin))


def cached_vectors_path(name: str, model_id: str) -> Path:
    """Where vectors of a model are kept so that they can be asked for by name.

    Raises:
        ArgumentError: It is no name.
    """
    check_name(name)
    return cached_vectors_folder() / model_folder(model_id) / f"{name}.safetensors"


def check_name(name: str) -> None:
    """Checks that vectors can be asked for by a name.

    Raises:
        ArgumentError: They cannot.
    """
    if _NAME.fullmatch(name) is None or name.startswith("."):
        raise ArgumentError(
            f"{name!r} cannot be the name of vectors: letters, digits, '_', '-' and '.' were expected, the last not "
            "first. Choose another name with --kind, or a file with --out."
        )


def model_folder(model_id: str) -> str:
    """Name of the folder of a model's vectors: lower case, hyphens for all but letters, digits and inner dots."""
    return re.sub(r"[^a-z0-9.]+", "-", model_id.lower()).strip("-.") or "unnamed"


def resolve_vectors(
    expression: str,
    *,
    architecture: Architecture | None = None,
    model_id: str = EMBEDDED_MODEL_ID,
    revision: str | None = None,
) -> list[WeightedVectors]:
    """Reads a vector expression and loads every term.

    Args:
        expression: See `VECTORS_HELP`.
        architecture: The model to be steered; picks among vectors of one name.
        model_id: Preferred among those.
        revision: Hub revision.

    Returns:
        One entry for each term, in order.

    Raises:
        ArgumentError: The expression is malformed or a name is unknown.
        VectorFileError: A file is missing or damaged.
        VectorMismatchError: Vectors of that name exist for other models only.
    """
    return [
        WeightedVectors(reference, weight, SteeringVectors.load(_locate(reference, architecture, model_id, revision)))
        for weight, reference in _terms(str(expression).strip())
    ]


def resolve_contrast_set(name_or_path: str) -> ContrastSet:
    """Finds a contrast set by the name of a shipped one, or by path.

    Raises:
        ContrastError: There is none, or it cannot be read.
    """
    shipped = contrast_folder() / f"{name_or_path}.jsonl"
    if _NAME.fullmatch(name_or_path) and is_file(shipped):
        return ContrastSet.read(shipped)
    if is_file(Path(name_or_path)):
        return ContrastSet.read(name_or_path)
    names = ", ".join(sorted(path.stem for path in contrast_folder().glob("*.jsonl")))
    raise ContrastError(f"{name_or_path!r} is neither a file nor a shipped contrast set. Shipped: {names}.")


def is_shipped(contrast: ContrastSet) -> bool:
    """Whether a contrast set is one of the shipped ones, byte for byte."""
    return any(ContrastSet.read(path).sha256 == contrast.sha256 for path in contrast_folder().glob("*.jsonl"))


def _terms(expression: str) -> Iterator[tuple[float, str]]:
    if expression and exists(user_path(expression)):
        yield 1.0, expression
        return
    for term in expression.split("+"):
        weight, star, reference = term.strip().rpartition("*")
        try:
            factor = float(weight) if star else 1.0
        except ValueError:
            factor = math.nan
        if not math.isfinite(factor) or not reference.strip():
            raise ArgumentError(f"vectors={expression!r} is malformed at {term.strip()!r}. Allowed: {VECTORS_HELP}.")
        yield factor, reference.strip()


def _locate(reference: str, architecture: Architecture | None, model_id: str, revision: str | None) -> Path:
    path = user_path(reference)
    if is_file(path / VECTORS_FILE):
        return path / VECTORS_FILE
    if is_file(path) or (path.suffix == ".safetensors" and ":" not in reference):
        return path
    if _NAME.fullmatch(reference):
        return _locate_by_name(reference, architecture, model_id)
    if is_folder(path):
        raise VectorFileError(f"{path}: a folder without {VECTORS_FILE}. Name a vector file in it.")
    hub = _HUB_ID.fullmatch(reference)
    if hub is None:
        raise ArgumentError(f"vectors={reference!r} is not understood. Allowed: {VECTORS_HELP}.")
    return _download(hub[1], hub[2] or VECTORS_FILE, revision)


def _locate_by_name(name: str, architecture: Architecture | None, model_id: str) -> Path:
    damaged: dict[str, VectorFileError] = {}
    known = known_vectors(damaged.setdefault)
    named = [candidate for candidate in known if candidate.name == name]
    fitting = [c for c in named if architecture is None or c.metadata.architecture == architecture]
    if not fitting and name in damaged:
        raise damaged[name]
    if not named:
        names = ", ".join(sorted({candidate.name for candidate in known})) or "none"
        raise ArgumentError(f"No vectors are known as {name!r}. Known: {names}. Allowed: {VECTORS_HELP}.")
    if not fitting:
        models = ", ".join(sorted({candidate.metadata.model_id for candidate in named}))
        raise VectorMismatchError(
            f"The vectors {name!r} exist for {models}, not for {model_id}. Make them for this model: "
            f"cachesteer extract --contrast {name} --pretrained {model_id}."
        )
    fitting.sort(key=lambda c: (c.metadata.model_id != model_id, c.origin != "shipped"))
    return fitting[0].path


def _download(repository: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VectorFileError(
            f"{repository}:{file} could not be fetched from the hub ({reason}). Check the name and the connection, "
            "or pass a local file."
        ) from error
