"""Which adapters of PEFT a steered model can carry: those that change weights, not what is fed."""

from typing import Any

from ..errors import ArgumentError


def check_adapter(model: Any) -> None:
    """Refuses adapters under which a prompt cannot be fed in two parts, as steering does.

    Args:
        model: A model, possibly wrapped by PEFT.

    Raises:
        ArgumentError: The adapter puts tokens of its own before every pass, or acts from certain tokens of a pass on.
    """
    adapter = getattr(model, "active_peft_config", None)
    if adapter is None:
        return
    kind = getattr(adapter.peft_type, "value", adapter.peft_type)
    if getattr(adapter, "is_prompt_learning", False):
        reason = "puts tokens of its own before every pass"
    elif getattr(adapter, "alora_invocation_tokens", None):
        kind, reason = "activated LoRA", "acts only from its invocation tokens on"
    else:
        return
    raise ArgumentError(
        f"The adapter is of kind {kind}, which {reason}, but steering feeds a prompt in two parts, before and after "
        "the edit. Use an adapter of the weights, such as LoRA, or a merged checkpoint."
    )
