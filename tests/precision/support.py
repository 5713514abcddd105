"""What tests of precision share: models of other dtypes, edits watched as they are made, answers up to rounding."""

import contextlib

import gguf
import torch

from lm_eval_cachesteer.core.edit import CacheEdit

from .. import oracle

_FIRST_CHARACTER = 0x4E00
SIXTEEN_BITS = [torch.bfloat16, torch.float16]


def answering_in_tokens(lm):
    """Makes a backend's answers name every token by one character, so that they can be read as tokens again."""

    def tok_decode(tokens, **_):
        return "".join(chr(_FIRST_CHARACTER + token) for token in ([tokens] if isinstance(tokens, int) else tokens))

    lm.tok_decode = tok_decode
    return lm


def tokens_of(answer):
    """The tokens of such an answer, its end token left out."""
    return [ord(character) - _FIRST_CHARACTER for character in answer]


def without_end(tokens, end=257):
    """Tokens without the one that ended them."""
    return tokens[:-1] if tokens and tokens[-1] == end else tokens


def every_dtype():
    """The dtypes a model can have on any device."""
    return [torch.float32, *SIXTEEN_BITS]


@contextlib.contextmanager
def watched_edits():
    """Records every edit made while the block lasts, whoever makes it.

    Yields:
        A list of (delta, states before, states after, expected states), one entry for each edited tensor of a layer.
        The expectation is computed here: the sum in float32, cast once.
    """
    seen = []
    original = CacheEdit.add_to

    def add_to(self, places):
        before = {layer: (place.keys.clone(), place.values.clone()) for layer, place in places.items()}
        original(self, places)
        for layer, place in places.items():
            for states, was, delta in (
                (place.keys, before[layer][0], self.keys[layer]),
                (place.values, before[layer][1], self.values[layer]),
            ):
                expected = was.clone()
                for row, slot in zip(place.rows.tolist(), place.slots.tolist(), strict=True):
                    expected[row, :, slot] = (was[row, :, slot].float() + delta).to(was.dtype)
                seen.append((delta, was, states.clone(), expected))

    CacheEdit.add_to = add_to
    try:
        yield seen
    finally:
        CacheEdit.add_to = original


def assert_cast_once(seen, dtype):
    """All edits changed bits, and those only that float32 sums, cast once, change."""
    assert seen
    for delta, before, after, expected in seen:
        assert after.dtype == dtype
        assert torch.equal(after, expected)
        assert torch.equal(after, before) == (not delta.any())


@torch.no_grad()
def shortfalls(model, prompt, answer, keys, values):
    """By how much each token of an answer falls short of the oracle's best choice, in nats, on the oracle's cache.

    All are 0 for a greedy answer computed exactly; rounding allows a little more where two tokens are close.
    """
    cache, _ = oracle.steered_cache(model, prompt[:-1], keys, values)
    fed, found = [prompt[-1], *answer[:-1]], []
    for offset, (token, chosen) in enumerate(zip(fed, answer, strict=True)):
        logprobs = oracle.step(model, cache, token, len(prompt) - 1 + offset).float().log_softmax(-1)
        found.append(float(logprobs.max() - logprobs[chosen]))
    return found


def write_gguf(model, path, kind="F32"):
    """Writes a llama as a GGUF file, as llama.cpp's converter does.

    Args:
        model: A `LlamaForCausalLM` whose widths are multiples of 32.
        path: The file.
        kind: GGML type of the matrices, such as "F32", "F16", "Q8_0", "Q4_1"; norms stay float32.
    """
    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    for name, tensor in model.state_dict().items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads is not None:  # GGUF interleaves the two halves that rotary embeddings turn together
            tensor = tensor.view(heads, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)
        wanted = gguf.GGMLQuantizationType[kind if tensor.ndim > 1 else "F32"]
        data = gguf.quants.quantize(tensor.float().numpy(), wanted)
        writer.add_tensor(names.get_name(name, (".weight",)), data, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
