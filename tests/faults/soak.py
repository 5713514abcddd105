"""Jobs of many steered requests: what grows, and what is no longer as it was, as JSON."""

import gc
import hashlib
import json
import random

import numpy as np
import psutil
import torch

from ..conftest import random_texts
from ..harness.support import generation, likelihood, rolling

GROUP = 100


def fast_path(folder):
    """Two thousand requests by packed passes; measured first after 500."""
    _soak(folder, 2000, 500)


def plain_path(folder):
    """Some hundreds in padded batches by `generate`; measured first after 100."""
    _soak(folder, 300, 100, engine="generate")


def _soak(folder, requests, early, **arguments):
    from lm_eval_cachesteer.harness.backend import CacheSteerLM
    from lm_eval_cachesteer.harness.registration import register

    from .pristine import IS_FIRST, PRISTINE, callables, replaced

    assert IS_FIRST
    register()
    found = {"requests": requests, "between": requests - early, "patched": replaced(PRISTINE)}
    inputs = folder / "inputs"
    vectors = str(inputs / "vectors.safetensors")
    lm = CacheSteerLM(str(inputs / "tiny-llama"), vectors=vectors, device="cpu", batch_size=16, **arguments)
    before, model, process = callables(), state_of(lm.model), state_of_process()
    let_tokenizer_remember(lm, requests // GROUP)
    for number in range(requests // GROUP):
        if number == early // GROUP:
            found["early"] = measured()
        ask(lm, number)
    found["late"] = measured()
    found["counts"] = lm.counts.summary()
    extract_too(lm)
    found["model"] = {name: value == model[name] for name, value in state_of(lm.model).items()}
    found["process"] = {name: value == process[name] for name, value in state_of_process().items()}
    found["replaced"] = replaced(before)
    print(json.dumps(found))


def state_of(model):
    """Everything about a model that steering must leave alone, as plain data."""
    weights = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.data_ptr()};".encode())
        weights.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    modules = [
        [name, str(type(module)), module.training, sorted(vars(module)), {k: len(v) for k, v in _hooks(module).items()}]
        for name, module in model.named_modules()
    ]
    configs = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values()
    return {
        "weights": weights.hexdigest(),
        "needs_grad": [parameter.requires_grad for parameter in model.parameters()],
        "modules": modules,
        "config": [config.to_json_string(use_diff=False) for config in configs],
        "attention": [config._attn_implementation for config in configs],
        "generation": model.generation_config.to_json_string(use_diff=False),
    }


def _hooks(module):
    return {name: value for name, value in vars(module).items() if name.endswith("hooks")}


def state_of_process():
    """Settings and random states of the process, as plain data."""
    return {
        "dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "random": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "random of numpy": hashlib.sha256(np.random.get_state()[1].tobytes()).hexdigest(),
        "random of Python": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
    }


def measured():
    """What a leak would make grow."""
    gc.collect()
    objects = gc.get_objects()
    return {
        "rss": psutil.Process().memory_info().rss,
        "files": psutil.Process().num_fds(),
        "threads": psutil.Process().num_threads(),
        "tensors": sum(isinstance(one, torch.Tensor) for one in objects),
        "objects": len(objects),
    }


def ask(lm, number):
    """A group of requests: half to generate, a tenth of them longer than weights are packed for, half to score."""
    short, long, scored, whole = prompts_of(number)
    lm.generate_until(generation(short), disable_tqdm=True)
    lm.generate_until(generation(long, max_gen_toks=70), disable_tqdm=True)
    lm.loglikelihood(likelihood([(text, text[::-1][:9]) for text in scored]), disable_tqdm=True)
    lm.loglikelihood_rolling(rolling(whole), disable_tqdm=True)


def prompts_of(number):
    """Prompts for short and for long responses, contexts, and texts to score as a whole."""
    texts = random_texts(GROUP, 1, 60, seed=number)
    return texts[:45], texts[45:50], texts[50:98], texts[98:]


def let_tokenizer_remember(lm, groups):
    """Tokenizes everything once: the tokenizers library keeps up to 10,000 texts that it has not seen before."""
    for number in range(groups):
        short, long, scored, whole = prompts_of(number)
        for text in (*short, *long, *scored, *whole, *(text + text[::-1][:9] for text in scored)):
            lm.tok_encode(text)


def extract_too(lm):
    """Extraction reads the same model, by hooks where it is for activation steering."""
    from lm_eval_cachesteer.activation import extract_activation
    from lm_eval_cachesteer.core.metadata import VectorMetadata
    from lm_eval_cachesteer.core.prompts import TokenPair
    from lm_eval_cachesteer.extraction import extract

    pairs = [TokenPair((5, 6, 7, 9), (8, 9)), TokenPair((1, 2, 3), (4, 4, 3))]
    extract(lm.model, pairs, VectorMetadata(kind="a", model_id="b"), pad_token_id=0)
    extract_activation(lm.model, pairs)
