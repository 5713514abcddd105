"""The model families of the support matrix, each as a tiny configuration of transformers."""

from collections.abc import Callable
from typing import Any

import transformers
from transformers import PreTrainedConfig

from ..conftest import CONFIGS, HEADS, SIZES, TOKENS

WINDOW = 16
CHUNK = 256
_ALTERNATING = ["sliding_attention", "full_attention"]
_THREE_LAYERS = {"num_hidden_layers": 3, "layer_types": [*_ALTERNATING, "sliding_attention"], "sliding_window": WINDOW}
_SMALL: dict[str, Any] = {**SIZES, "num_hidden_layers": 2, **TOKENS}
_GROUPED = {**_SMALL, **HEADS}
# Their embeddings are large and, as output weights too, repeat the last token whatever the edit.
_UNTIED = {"tie_word_embeddings": False}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SHARED_KEYS = {
    "num_hidden_layers": 6, "layer_types": _ALTERNATING * 3, "num_kv_shared_layers": 2, "sliding_window": WINDOW,
    "vocab_size_per_layer_input": 258, "hidden_size_per_layer_input": 8,
}  # fmt: skip


def _of(class_name: str, *parts: dict[str, Any], **settings: Any) -> Callable[[], PreTrainedConfig]:
    """A function that makes a configuration; classes are looked up when it is called."""

    def make() -> PreTrainedConfig:
        merged: dict[str, Any] = {}
        for part in (*parts, settings):
            merged |= part
        return getattr(transformers, class_name)(**merged)

    return make


def _ungrouped(class_name: str, **settings: Any) -> Callable[[], PreTrainedConfig]:
    """As `_of`, for families in which every head has keys of its own."""
    return _of(class_name, _SMALL, {"num_attention_heads": 4, "intermediate_size": 64}, **settings)


FAMILIES: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": CONFIGS["llama"],
    "llama4_text": _of(
        "Llama4TextConfig", _GROUPED, num_hidden_layers=4, num_local_experts=2, num_experts_per_tok=1,
        intermediate_size_mlp=64, attention_chunk_size=CHUNK, head_dim=8,
        layer_types=["chunked_attention", "full_attention"] * 2,
    ),
    "mistral": _of("MistralConfig", _GROUPED, sliding_window=WINDOW),
    "mixtral": _of("MixtralConfig", _GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "qwen2": _of("Qwen2Config", _GROUPED),
    "qwen3": _of("Qwen3Config", _GROUPED),
    "qwen3_moe": _of("Qwen3MoeConfig", _GROUPED, _EXPERTS, num_experts=4),
    "gemma": _of("GemmaConfig", _GROUPED, _UNTIED),
    "gemma2": _of("Gemma2Config", _GROUPED, _UNTIED, _THREE_LAYERS, query_pre_attn_scalar=8),
    "gemma3_text": CONFIGS["gemma3_text"],
    "gemma3n_text": _of(
        "Gemma3nTextConfig", _GROUPED, _SHARED_KEYS, laurel_rank=4, activation_sparsity_pattern=[0.9] + [0.0] * 5
    ),
    "gemma4_text": _of("Gemma4TextConfig", _GROUPED, _SHARED_KEYS, global_head_dim=16),
    "phi": _ungrouped("PhiConfig"),
    "phi3": _of("Phi3Config", _GROUPED),
    "phi3_longrope": _of(
        "Phi3Config", _GROUPED, original_max_position_embeddings=128,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 128,
            "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
        },
    ),
    "smollm3": _of("SmolLM3Config", _GROUPED, num_hidden_layers=3, no_rope_layers=[1, 1, 0]),
    "olmo2": _of("Olmo2Config", _GROUPED),
    "granite": _of("GraniteConfig", _GROUPED, attention_multiplier=0.3, residual_multiplier=0.8),
    "cohere2": _of(
        "Cohere2Config", _GROUPED, _THREE_LAYERS, logit_scale=1.0,
    ),
    "gpt2": CONFIGS["gpt2"],
    "gpt_neox": _ungrouped("GPTNeoXConfig"),
    "opt": _ungrouped("OPTConfig", ffn_dim=64, word_embed_proj_dim=32, dropout=0.0),
    "bloom": _of("BloomConfig", TOKENS, vocab_size=258, hidden_size=32, n_layer=2, n_head=4),
    "falcon": _ungrouped("FalconConfig"),
    "falcon_alibi": _ungrouped("FalconConfig", alibi=True, multi_query=False, bias=True, parallel_attn=False),
    "deepseek_v3": _of(
        "DeepseekV3Config", _SMALL, _EXPERTS, num_attention_heads=4, num_key_value_heads=4, intermediate_size=64,
        q_lora_rank=16, kv_lora_rank=12, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=6, n_routed_experts=4,
        n_group=2, topk_group=1, first_k_dense_replace=1,
    ),
    "gpt_oss": _of(
        "GptOssConfig", _GROUPED, _THREE_LAYERS, num_local_experts=4, num_experts_per_tok=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
    "glm4": _of("Glm4Config", _GROUPED),
    "stablelm": _ungrouped("StableLmConfig", num_key_value_heads=2),
    "starcoder2": _of("Starcoder2Config", _GROUPED, sliding_window=WINDOW),
    "lfm2": CONFIGS["lfm2"],
    "falcon_h1": _of(
        "FalconH1Config", _GROUPED, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8,
        mamba_chunk_size=16,
    ),
    "qwen3_next": _of(
        "Qwen3NextConfig", _GROUPED, _EXPERTS, num_hidden_layers=4, num_experts=4, shared_expert_intermediate_size=32,
        layer_types=["linear_attention", "full_attention"] * 2, linear_num_key_heads=2, linear_num_value_heads=2,
        linear_key_head_dim=8, linear_value_head_dim=8,
    ),
    "jamba": _of(
        "JambaConfig", _SMALL, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
        num_experts=2, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=8, mamba_dt_rank=8,
        use_mamba_kernels=False,
    ),
    "minimax": _of(
        "MiniMaxConfig", _GROUPED, layer_types=["linear_attention", "full_attention"], block_size=16,
        num_local_experts=4, num_experts_per_tok=2,
    ),
    "deepseek_v4": _of(
        "DeepseekV4Config", _GROUPED, _EXPERTS, sliding_window=WINDOW, q_lora_rank=16, qk_rope_head_dim=4,
        n_routed_experts=4,
    ),
    "mamba": _of("MambaConfig", TOKENS, vocab_size=258, hidden_size=32, state_size=4, num_hidden_layers=2),
    "t5": _of("T5Config", vocab_size=258, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
}  # fmt: skip


def is_known(family: str) -> bool:
    """Whether the installed transformers has this family."""
    try:
        FAMILIES[family]()
    except AttributeError:  # no such class
        return False
    return True
