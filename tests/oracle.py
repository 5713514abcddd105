"""The oracle: cache steering written with nothing but transformers and torch, one row and one token at a time.

Nothing here uses the package under test.
"""

import torch


def draw_vectors(model, layers, seed=0, scale=1.0):
    """Random keys and values per layer, shaped like the model's cache."""
    out = model(torch.tensor([[1, 2]]), use_cache=True)
    generator = torch.Generator().manual_seed(seed)
    keys, values = {}, {}
    for i in layers:
        layer = out.past_key_values.layers[i]
        keys[i] = scale * torch.randn(layer.keys.shape[1], layer.keys.shape[3], generator=generator)
        values[i] = scale * torch.randn(layer.values.shape[1], layer.values.shape[3], generator=generator)
    return keys, values


@torch.no_grad()
def steered_cache(model, cached_tokens, keys, values):
    """Prefills tokens in one pass and adds the vectors to the last one."""
    out = model(torch.tensor([cached_tokens]), use_cache=True)
    cache = out.past_key_values
    for i in keys:
        cache.layers[i].keys[0, :, -1] += keys[i]
        cache.layers[i].values[0, :, -1] += values[i]
    return cache, out.logits[0, -1]


@torch.no_grad()
def step(model, cache, token, position):
    """Feeds one token; returns the logits after it."""
    arguments = {} if model.config.model_type == "bloom" else {"position_ids": torch.tensor([[position]])}
    return model(torch.tensor([[token]]), past_key_values=cache, use_cache=True, **arguments).logits[0, -1]


@torch.no_grad()
def greedy(model, prompt, keys, values, new_tokens, eos=None):
    """Greedy continuation of a prompt (offset token included) whose next-to-last token is steered."""
    cache, _ = steered_cache(model, prompt[:-1], keys, values)
    token, position, produced = prompt[-1], len(prompt) - 1, []
    for _ in range(new_tokens):
        token = int(step(model, cache, token, position).argmax())
        produced.append(token)
        position += 1
        if token == eos:
            break
    return produced


@torch.no_grad()
def loglikelihood(model, context, continuation, keys, values, *, edit_last=False):
    """Log-likelihood of a continuation. The edited token is the context's next-to-last, or its last."""
    tokens = context + continuation
    start = len(context) if edit_last else len(context) - 1
    cache, logits = steered_cache(model, tokens[:start], keys, values)
    total, greedy_all = 0.0, True
    for position in range(start, len(tokens)):
        if position >= len(context):
            logprobs = logits.log_softmax(-1)
            total += float(logprobs[tokens[position]])
            greedy_all &= int(logits.argmax()) == tokens[position]
        if position < len(tokens) - 1:
            logits = step(model, cache, tokens[position], position)
    return total, greedy_all
