"""What tests of the engine share."""

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from .. import oracle
from ..conftest import CHAT_TEMPLATE, TOKENS, random_texts, random_weights

LONGEST = 512
EOS = 257
SHARED = random_texts(1, 90, 90, seed=11)[0]


def character_tokenizer():
    """One token for each of 256 characters: unlike bytes, each is a text of its own, whatever comes next."""
    characters = ["\n", *map(chr, range(32, 127)), *map(chr, range(0x100, 0x100 + 160))]
    vocabulary = {character: i for i, character in enumerate(characters)} | {"<bos>": 256, "<eos>": 257}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<bos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    special = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<eos>", "unk_token": "<bos>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **special)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tiny_model(kv_heads=2, layers=4):
    """A random llama that vLLM's CPU kernels take: heads of 32."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258, hidden_size=64, num_hidden_layers=layers, max_position_embeddings=LONGEST,
        num_attention_heads=4, num_key_value_heads=kv_heads, head_dim=32, intermediate_size=96, **TOKENS,
    )  # fmt: skip
    model = random_weights(AutoModelForCausalLM.from_config(config, dtype=torch.float32))
    model.lm_head.weight.data[config.bos_token_id] = 0  # the harness's hf leaves it out of answers, its vllm does not
    return model


def prompts(count=64):
    """Texts of mixed lengths: short ones, ones with a prefix of several blocks in common, and repeats."""
    short, long = random_texts(count // 2, 3, 40, seed=5), random_texts(count - count // 2, 3, 120, seed=6)
    texts = [text for pair in zip(short, (SHARED + text for text in long), strict=True) for text in pair]
    texts[-6:] = texts[:6]
    return texts


def steered_tokens(model, vectors, tokens, c_values, new_tokens, c_keys=0.0, layers=(1, 2, 3)):
    """What transformers decodes greedily after a prompt (offset token included) whose next-to-last token is edited."""
    keys = {i: c_keys * vectors.keys[i] for i in layers}
    values = {i: c_values * vectors.values[i] for i in layers}
    return oracle.greedy(model, tokens, keys, values, new_tokens, eos=EOS)


def plain_tokens(model, tokens, new_tokens):
    return oracle.greedy(model, tokens, {}, {}, new_tokens, eos=EOS)


def differing(found, expected):
    """How many rows differ, and the first of them."""
    rows = [i for i, (one, other) in enumerate(zip(found, expected, strict=True)) if list(one) != list(other)]
    return len(rows), rows[:1]
