"""What we are compared with: the harness's models, and the paper's algorithm written plainly on transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.hf_steered import SteeredModel
from lm_eval.models.huggingface import HFLM
from transformers import DynamicCache

from lm_eval_cachesteer import CacheEdit, SteeringVectors
from lm_eval_cachesteer.core.prompts import TokenPair

ANSWER_PROMPT = "\nSo the correct answer is"
ANSWER_TOKENS = 10


def stock(model: Any, tokenizer: Any, batch_size: int) -> HFLM:
    """The harness's own `hf`, unsteered."""
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device=str(model.device))


def activation_steered(
    model: Any, tokenizer: Any, batch_size: int, pairs: Sequence[TokenPair], folder: Path
) -> SteeredModel:
    """The harness's `steered`: mean difference of the residual stream over contrast pairs, added at every token."""
    layer = model.config.num_hidden_layers // 2
    with torch.inference_mode():

        def last(tokens: Sequence[int]) -> torch.Tensor:
            out = model(torch.tensor([tokens], device=model.device), output_hidden_states=True)
            state: torch.Tensor = out.hidden_states[layer + 1][0, -1]
            return state.float()

        vector = torch.stack([last(pair.positive) - last(pair.negative) for pair in pairs]).mean(0)
    path = folder / "activation.pt"
    torch.save({f"layers.{layer}": {"steering_vector": vector, "steering_coefficient": 1.0, "action": "add"}}, path)
    return SteeredModel(
        pretrained=model, steer_path=str(path), tokenizer=tokenizer, batch_size=batch_size, device=str(model.device)
    )


class PaperLM:
    """Cache steering as its paper describes it, batch by batch, then the answer stage one response at a time.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        vectors: The steering vectors.
        batch_size: Prompts in one batch.
    """

    def __init__(self, model: Any, tokenizer: Any, vectors: SteeringVectors, batch_size: int) -> None:
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.edit = CacheEdit.build(
            [_whole(vectors)], c_values=vectors.metadata.recommended_c_values, n_layers=model.config.num_hidden_layers
        )
        self.offset = vectors.metadata.offset_token_id

    @torch.inference_mode()
    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """First stage in batches, second stage one by one; returns both stages' text."""
        responses: list[str] = []
        for start in range(0, len(requests), self.batch_size):
            batch = [request.args for request in requests[start : start + self.batch_size]]
            settings = batch[0][1]
            texts = self._first_stage([context for context, _ in batch], settings)
            for (context, _), text in zip(batch, texts, strict=True):
                text = min((text.split(stop)[0] for stop in settings["until"]), key=len, default=text)
                responses.append(text + ANSWER_PROMPT + self._answer(context + text + ANSWER_PROMPT))
        return responses

    def _first_stage(self, contexts: Sequence[str], settings: dict[str, Any]) -> list[str]:
        rows = [[*self.tokenizer.encode(context, add_special_tokens=False), self.offset] for context in contexts]
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        self.model(  # all logits, as the reference does
            ids[:, :-1], attention_mask=mask[:, :-1], position_ids=positions[:, :-1], past_key_values=cache
        )
        for i, delta in self.edit.keys.items():
            cache.layers[i].keys[:, :, -1] += delta
            cache.layers[i].values[:, :, -1] += self.edit.values[i]
        out = self.model.generate(
            ids,
            attention_mask=mask,
            past_key_values=cache,
            max_new_tokens=settings["max_gen_toks"],
            do_sample=False,
            pad_token_id=pad,
        )
        return [self.tokenizer.decode(row, skip_special_tokens=True) for row in out[:, width:]]

    def _answer(self, text: str) -> str:
        ids = torch.tensor([self.tokenizer.encode(text, add_special_tokens=False)])
        out = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False
        )
        return str(self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def _whole(vectors: SteeringVectors) -> Any:
    from lm_eval_cachesteer.core.edit import WeightedVectors

    return WeightedVectors(vectors.metadata.kind, 1.0, vectors)


@torch.inference_mode()
def paper_extraction(model: Any, pairs: Sequence[TokenPair]) -> dict[str, torch.Tensor]:
    """The paper's extraction loop: one prompt at a time, hidden states kept, mean of the last tokens' differences."""
    total: dict[str, torch.Tensor] = {}
    for pair in pairs:
        sides = []
        for tokens in (pair.positive, pair.negative):
            out = model(torch.tensor([tokens], device=model.device), output_hidden_states=True, use_cache=True)
            layers = out.past_key_values.layers
            sides.append(
                {f"keys.{i}": layer.keys[0, :, -1].double() for i, layer in enumerate(layers)}
                | {f"values.{i}": layer.values[0, :, -1].double() for i, layer in enumerate(layers)}
            )
        for name, state in sides[0].items():
            total[name] = total.get(name, torch.zeros_like(state)) + state - sides[1][name]
    return {name: state / len(pairs) for name, state in total.items()}
