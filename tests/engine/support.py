"""Engine pieces over tiny models, and prompts that share beginnings."""

from lm_eval_cachesteer.engine.choosing import TokenChoice
from lm_eval_cachesteer.engine.decoding import Decoder
from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.engine.limits import Limits
from lm_eval_cachesteer.engine.prefixes import PromptPath
from lm_eval_cachesteer.engine.requests import DecodeRule, GenerationRequest
from lm_eval_cachesteer.engine.stopping import StopRule

from ..conftest import random_texts

PLENTY = 1 << 30
GREEDY = {"do_sample": False, "eos_token_id": None}


def mixed_prompts(header_tokens=30):
    """Short and long prompts, some behind a common header, one of them four times, one of two tokens."""
    header = list(random_texts(1, header_tokens, header_tokens, seed=9)[0].encode())
    alone = [list(text.encode()) for text in random_texts(6, 2, 40)]
    behind = [header + list(text.encode()) for text in random_texts(6, 2, 40, seed=2)]
    return [*alone, *behind, *[behind[3]] * 3, [5, 9]]


def path_of(prompt, edited=True):
    """All but the last token cached, the last of those edited."""
    cached = prompt[:-1]
    return PromptPath(tuple(cached), len(cached) - 1, len(cached)) if edited and cached else PromptPath(tuple(cached))


def decode(model, prompts, edit=None, *, rows=4, kv_bytes=PLENTY, share=True, new_tokens=12, settings=None, **more):
    """Responses of the decoder, as token lists."""
    choice = TokenChoice(model, GREEDY if settings is None else settings, seed=more.pop("seed", 0))
    stop = more.pop("stop", StopRule(choice.end_tokens, [], None))
    drafted = more.pop("drafted", 0)
    packed = more.pop("packed", None) or PackedModel(model)
    decoder = Decoder(packed, edit, Limits(rows, kv_bytes, share), more.pop("compiled", None))
    lengths = new_tokens if isinstance(new_tokens, list) else [new_tokens] * len(prompts)
    requests = [
        GenerationRequest(path_of(prompt, edit is not None), prompt[-1], DecodeRule(choice, stop, length, drafted))
        for prompt, length in zip(prompts, lengths, strict=True)
    ]
    return decoder.decode(requests, **more)
