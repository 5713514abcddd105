"""What is checked of every model family: steering acts there exactly as the oracle says, or is refused.

The table of families is in `configs.py`; tests and `tools/make_support_matrix.py` both run `check`.
"""

import operator
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import decoders
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel, PreTrainedTokenizerFast

from lm_eval_cachesteer.core.cache import attention_layers
from lm_eval_cachesteer.core.decode import PaddedBatch
from lm_eval_cachesteer.core.prompts import TokenPair
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.engine.support import why_not
from lm_eval_cachesteer.errors import CachesteerError
from lm_eval_cachesteer.extraction import extract
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.steerer import KVSteerer

from .. import oracle
from ..conftest import byte_tokenizer, make_vectors, random_texts, random_weights
from ..harness.support import counts, generation, likelihood
from .configs import FAMILIES

EOS = 257
NEW_TOKENS = 6
C_KEYS, C_VALUES = 1.0, 8.0
# Ragged, and longer than the windows of the families that have one.
PROMPTS = ["ab", *random_texts(4, 3, 40, seed=4), random_texts(1, 44, 44, seed=5)[0]]
UNSTEERED = 3
CHOICES = [" yes", "n"]
PAIRS = [(prompt, CHOICES[i % 2]) for i, prompt in enumerate(PROMPTS)] + [(PROMPTS[-1], CHOICES[1])]

Scores = Sequence[tuple[float, bool]]


@dataclass(frozen=True)
class FamilyResult:
    """What became of one family.

    Attributes:
        family: Its name in the table of families.
        model_class: The class of transformers.
        n_layers: Layers of the tiny model.
        steered: Layers that are steered by the default setting, `layers=1-`.
        obstacle: Why it does not take the fast path; "" if it does.
        refused: Why it is refused altogether; "" if it is not. The fields below are empty then.
        static_refused: Why a static cache is refused; "" if it is not.
        failures: Check -> what differed, for the checks that failed.
    """

    family: str
    model_class: str
    n_layers: int
    steered: tuple[int, ...] = ()
    obstacle: str = ""
    refused: str = ""
    static_refused: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)


def build(family: str, seed: int = 0) -> PreTrainedModel:
    """A tiny model of a family, with random weights."""
    config = FAMILIES[family]()
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    torch.manual_seed(seed)
    return random_weights(auto.from_config(config, dtype=torch.float32))


def telling_tokenizer() -> PreTrainedTokenizerFast:
    """The byte tokenizer, decoding to one symbol for each byte, so that equal texts are equal tokens."""
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.decoder = decoders.Fuse()
    return tokenizer


def layers_with_keys(model: PreTrainedModel) -> list[int]:
    """Layers for which the model's cache holds keys, read off the cache itself.

    Raises:
        CacheLayoutError: It has no layers to read; says what the package says of it.
    """
    with torch.no_grad():
        cache = getattr(model(torch.tensor([[1, 2]]), use_cache=True), "past_key_values", None)
    if not hasattr(cache, "layers"):
        return [layer.index for layer in attention_layers(cache)]
    keys = {i: getattr(layer, "keys", None) for i, layer in enumerate(cache.layers)}
    return [i for i, tensor in keys.items() if tensor is not None and tensor.numel()]


def check(family: str) -> FamilyResult:
    """Runs every check on a family.

    Args:
        family: A name in `FAMILIES`.
    """
    model = build(family)
    about = {
        "family": family,
        "model_class": type(model).__name__,
        "n_layers": model.config.get_text_config().num_hidden_layers,
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            return FamilyResult(**about, **_check(model, Path(folder, "vectors.safetensors")))
    except CachesteerError as error:
        return FamilyResult(**about, refused=str(error))


def _check(model: PreTrainedModel, path: Path) -> dict[str, Any]:
    """Checks a model; its vectors go to `path`."""
    tokenizer = telling_tokenizer()

    def backend(**arguments: Any) -> CacheSteerLM:
        return CacheSteerLM(
            pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=4, max_length=200, **arguments
        )

    def steered(c_keys: float = C_KEYS, c_values: float = C_VALUES, **arguments: Any) -> CacheSteerLM:
        return backend(vectors=str(path), c_keys=c_keys, c_values=c_values, offset_token="none", **arguments)

    plain = backend()
    vectors = make_vectors(model, layers=layers_with_keys(model), model_id=plain.model_id)
    vectors.save(path)
    expected = Expected.of(model, tokenizer, vectors)
    obstacle = why_not(model)
    paths = {"generate": steered()} if obstacle else {"fast": steered(), "generate": steered(engine="generate")}
    failures: dict[str, str] = {}
    for name, lm in paths.items():
        failures |= {f"{checked}, {name} path": what for checked, what in _steering(lm, expected).items()}
    failures["identity"] = _identity(plain, steered(0.0, 0.0), expected)
    failures["extraction"] = _extraction(model, vectors)
    static_refused, failures["static cache"] = _static(model, vectors, expected)
    return {
        "steered": tuple(paths["generate"].plan.summary()["layers"]),
        "obstacle": obstacle,
        "static_refused": static_refused,
        "failures": {checked: what for checked, what in failures.items() if what},
    }


@dataclass(frozen=True)
class Expected:
    """What the oracle says, one prompt and one token at a time.

    Attributes:
        prompts: The prompts' token ids.
        tokens: Steered greedy tokens of each prompt.
        texts: Their texts.
        plain_texts: The unsteered ones of the first prompts.
        scores: Steered likelihoods of `PAIRS`.
    """

    prompts: list[list[int]]
    tokens: list[list[int]]
    texts: list[str]
    plain_texts: list[str]
    scores: Scores

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: Any, vectors: SteeringVectors) -> "Expected":
        """Computes it for a model and the vectors of its layers from 1 on."""
        keys = {i: C_KEYS * tensor for i, tensor in vectors.keys.items() if i >= 1}
        values = {i: C_VALUES * tensor for i, tensor in vectors.values.items() if i >= 1}
        prompts = [tokenizer.encode(prompt) for prompt in PROMPTS]

        def text(tokens: list[int]) -> str:
            return str(tokenizer.decode(tokens, skip_special_tokens=True))

        tokens = [oracle.greedy(model, prompt, keys, values, NEW_TOKENS, EOS) for prompt in prompts]
        plain = [oracle.greedy(model, prompt, {}, {}, NEW_TOKENS, EOS) for prompt in prompts[:UNSTEERED]]
        scores = [
            oracle.loglikelihood(model, tokenizer.encode(context), tokenizer.encode(continuation), keys, values)
            for context, continuation in PAIRS
        ]
        return cls(prompts, tokens, [text(t) for t in tokens], [text(t) for t in plain], scores)


def _steering(lm: CacheSteerLM, expected: Expected) -> dict[str, str]:
    """Generation and likelihood of a left-padded, ragged batch, and the counts of interventions."""
    texts = lm.generate_until(generation(PROMPTS, max_gen_toks=NEW_TOKENS), disable_tqdm=True)
    scores = lm.loglikelihood(likelihood(PAIRS), disable_tqdm=True)
    counted = {kind: counts(lm, kind) for kind in ("generate_until", "loglikelihood")}
    wanted = {"generate_until": (len(PROMPTS), len(PROMPTS), 0), "loglikelihood": (len(PAIRS), len(PAIRS), 0)}
    acts = "" if expected.texts[:UNSTEERED] != expected.plain_texts else "the edit changes no text"
    return {
        "generation": _differing(texts, expected.texts) or acts,
        "likelihood": _differing(scores, expected.scores, _same_score),
        "interventions": "" if counted == wanted else f"counted {counted}, expected {wanted}",
    }


def _identity(plain: CacheSteerLM, zero: CacheSteerLM, expected: Expected) -> str:
    """Zero coefficients and no vectors: bit for bit the same, and what the oracle says without vectors."""
    texts, scores = [], []
    for lm in (plain, zero):
        texts.append(lm.generate_until(generation(PROMPTS, max_gen_toks=NEW_TOKENS), disable_tqdm=True))
        scores.append(lm.loglikelihood(likelihood(PAIRS), disable_tqdm=True))
    return (
        _differing(texts[0][:UNSTEERED], expected.plain_texts)
        or _differing(texts[1], texts[0])
        or _differing(scores[1], scores[0])
        or ("" if counts(zero, "generate_until")[1] == 0 else "interventions were counted at zero coefficients")
    )


def _extraction(model: PreTrainedModel, vectors: SteeringVectors) -> str:
    """The vectors of two pairs against the oracle's caches: same layers, same shapes, same numbers."""
    pairs = [TokenPair((5, 6, 7, 8, 9, 1), (5, 9, 1)), TokenPair((3,) * 20, (4, 3))]
    found = extract(model, pairs, vectors.metadata, pad_token_id=EOS, batch_size=2)
    caches = [
        [oracle.steered_cache(model, list(p), {}, {})[0] for p in (pair.positive, pair.negative)] for pair in pairs
    ]
    if found.layers != sorted(vectors.layers):
        return f"layers {found.layers}"
    for name in ("keys", "values"):
        for i, tensor in getattr(found, name).items():
            difference = sum(
                getattr(one.layers[i], name)[0, :, -1] - getattr(other.layers[i], name)[0, :, -1]
                for one, other in caches
            ) / len(pairs)
            if tensor.shape != difference.shape or not torch.allclose(tensor, difference, atol=1e-4):
                return f"{name} of layer {i} differ"
    return ""


def _static(model: PreTrainedModel, vectors: SteeringVectors, expected: Expected) -> tuple[str, str]:
    """Generation on a static cache: why it is refused, and what differs."""
    batch = PaddedBatch.of(expected.prompts, EOS, "cpu")
    steerer = KVSteerer(vectors, ck=C_KEYS, cv=C_VALUES, offset_token=None)
    try:
        out = steerer.steer(
            model, batch.input_ids, batch.attention_mask, cache_implementation="static",
            max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=EOS, eos_token_id=EOS,
        )  # fmt: skip
    except CachesteerError as error:
        return str(error), ""
    new = [row[: row.index(EOS) + 1] if EOS in row else row for row in out[:, batch.input_ids.shape[1] :].tolist()]
    return "", _differing(new, expected.tokens)


def _same_score(found: tuple[float, bool], wanted: tuple[float, bool]) -> bool:
    return abs(found[0] - wanted[0]) <= 1e-4 and found[1] == wanted[1]


def _differing(found: Sequence[Any], wanted: Sequence[Any], same: Callable[[Any, Any], bool] = operator.eq) -> str:
    """How many differ; "" for none."""
    different = sum(not same(one, other) for one, other in zip(found, wanted, strict=True))
    return f"{different} of {len(wanted)} differ" if different else ""
