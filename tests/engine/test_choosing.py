"""Choosing tokens as `generate` does, row by row: processors, sampling, near-ties."""

import pytest
import torch
from scipy.stats import chisquare

from lm_eval_cachesteer.engine.choosing import NEAR_TIE_FLOAT32, TokenChoice

from ..conftest import random_texts
from .support import decode, mixed_prompts

NEUTRAL = {"do_sample": False}


@pytest.mark.parametrize(
    "settings",
    [
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 6},
        {"suppress_tokens": [97, 98, 99]},
        {"bad_words_ids": [[56], [71, 62]]},
        {"encoder_repetition_penalty": 1.2},
        {"repetition_penalty": 9.0, "do_sample": True, "top_k": 1},
        {"sequence_bias": [[[71], -50.0]]},
    ],
)
def test_processors_act_as_in_generate_one_row_at_a_time(llama, settings):
    """A batch of any size gives what `generate` gives for each prompt alone, where nothing is padded."""
    prompts = [prompt for prompt in mixed_prompts() if len(prompt) > 1]
    ends = {"eos_token_id": [219, 164, 239, 211, 257]}  # tokens that unprocessed responses hold
    settings = NEUTRAL | ends | settings
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        out = llama.generate(
            ids, attention_mask=torch.ones_like(ids), max_length=len(prompt) + 12, pad_token_id=257, **settings
        )
        expected.append(out[0, len(prompt) :].tolist())
    found = decode(llama, prompts, rows=5, settings=settings)
    assert [response.tokens for response in found] == expected
    plain = decode(llama, prompts, rows=5, settings=NEUTRAL | ends)
    assert [response.tokens for response in plain] != expected


class TestSampling:
    SETTINGS = {"do_sample": True, "temperature": 1.3, "top_k": 0, "eos_token_id": None}  # noqa: RUF012

    def texts(self, model, prompts, **more):
        return [response.tokens for response in decode(model, prompts, settings=self.SETTINGS, **more)]

    @pytest.mark.parametrize("rows", [1, 4, 16])
    @pytest.mark.parametrize("share", [True, False])
    def test_a_seed_gives_the_same_text_in_any_batch(self, llama, rows, share):
        prompts = mixed_prompts()
        assert self.texts(llama, prompts, rows=rows, share=share) == self.texts(llama, prompts, rows=7)

    def test_the_company_does_not_matter(self, llama):
        prompts = mixed_prompts()
        together = self.texts(llama, prompts)
        assert self.texts(llama, prompts[2:5]) == together[2:5]
        assert self.texts(llama, prompts[::-1][-6:]) == together[:6][::-1]

    def test_repeats_differ_and_another_seed_gives_other_texts(self, llama):
        repeats = self.texts(llama, [[1, 2, 3, 4]] * 6)
        assert len({tuple(tokens) for tokens in repeats}) == 6
        assert self.texts(llama, [[1, 2, 3, 4]] * 6, seed=1) != repeats

    def test_draws_follow_the_model_s_distribution(self, llama):
        """First tokens of 4,000 responses against the probabilities of a plain forward pass, by chi-squared."""
        prompt = [10, 20, 30]
        settings = {"do_sample": True, "temperature": 2.0, "top_k": 6, "eos_token_id": None}
        drawn = [r.tokens[0] for r in decode(llama, [prompt] * 4000, rows=500, new_tokens=1, settings=settings)]
        with torch.no_grad():
            best = (llama(torch.tensor([prompt])).logits[0, -1] / 2.0).topk(6)
        expected = 4000 * best.values.double().softmax(-1)
        observed = [drawn.count(token) for token in best.indices.tolist()]
        assert sum(observed) == 4000
        assert chisquare(observed, expected.tolist()).pvalue > 1e-4

    def test_a_tiny_temperature_is_greedy(self, llama):
        prompts = mixed_prompts()
        cold = {"do_sample": True, "temperature": 1e-4, "eos_token_id": None}
        greedy = [response.tokens for response in decode(llama, prompts)]
        assert [response.tokens for response in decode(llama, prompts, settings=cold)] == greedy


class TestNearTies:
    """A greedy choice between nearly equal scores is marked."""

    @pytest.mark.parametrize(("gap", "marked"), [(0.0, True), (NEAR_TIE_FLOAT32 / 2, True), (0.01, False)])
    def test_by_the_gap_between_the_best_two(self, llama, gap, marked):
        choice = TokenChoice(llama, NEUTRAL)
        row = choice.row([1, 2], 0)
        logits = torch.full((1, 258), -5.0)
        logits[0, 7], logits[0, 9] = 1.0, 1.0 - gap
        [[chosen]] = choice.choose(logits, [row])
        assert chosen == (7, marked)
        row.append(chosen)
        assert row.near_tie == marked

    def test_once_marked_stays_marked(self, llama):
        choice = TokenChoice(llama, NEUTRAL)
        row = choice.row([1, 2], 0)
        for logits in (torch.zeros(1, 258), torch.arange(258.0)[None]):
            row.append(choice.choose(logits, [row])[0][0])
        assert row.near_tie


class TestDrafts:
    """Guessed tokens are kept as far as the model chooses them too."""

    @staticmethod
    def logits_of(*tokens):
        return torch.stack([torch.full((258,), -5.0).scatter(0, torch.tensor(token), 1.0) for token in tokens])

    @pytest.mark.parametrize(
        ("draft", "kept"),
        [([], [7]), ([7, 8], [7, 8, 9]), ([7, 3], [7, 8]), ([3, 8], [7]), ([7, 8, 9, 3], [7, 8, 9, 1])],
    )
    def test_up_to_the_first_that_is_wrong(self, llama, draft, kept):
        choice = TokenChoice(llama, NEUTRAL)
        rows = [choice.row([1, 2], 0), choice.row([1, 2], 1)]
        logits = self.logits_of(*[7, 8, 9, 1, 2][: len(draft) + 1], 50)  # the second row has no draft
        chosen = choice.choose(logits, rows, [draft, []])
        assert [[token for token, _ in choices] for choices in chosen] == [kept, [50]]

    def test_processors_see_the_guessed_tokens(self, llama):
        """A token that was just drafted is penalized after it, not before."""
        choice = TokenChoice(llama, {"do_sample": False, "eos_token_id": None, "repetition_penalty": 10.0})
        logits = torch.zeros(2, 258)
        logits[:, 7], logits[:, 8] = 2.0, 1.0
        [chosen] = choice.choose(logits, [choice.row([1, 2], 0)], [[7]])
        assert [token for token, _ in chosen] == [7, 8]

    def test_a_token_s_random_number_does_not_depend_on_drafts(self, llama):
        choice = TokenChoice(llama, {"do_sample": True, "eos_token_id": None}, seed=3)
        torch.manual_seed(0)
        logits = torch.randn(6, 258)
        alone = choice.row([1, 2], 0)
        expected = []
        for i in range(6):
            [[chosen]] = choice.choose(logits[i : i + 1].clone(), [alone])
            alone.append(chosen)
            expected.append(chosen.token)
        row, found = choice.row([1, 2], 0), []
        for length in (3, 2, 0):  # drafts that turn out wrong at their last token
            draft = [*expected[len(found) : len(found) + length - 1], 257][:length]
            [choices] = choice.choose(logits[len(found) : len(found) + length + 1].clone(), [row], [draft])
            for chosen in choices:
                row.append(chosen)
            found += [chosen.token for chosen in choices]
        assert found == expected


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_beams": 2}, "beam search"),
        ({"num_return_sequences": 2, "do_sample": True}, "num_return_sequences"),
        ({"cache_implementation": "static"}, "cache_implementation"),
        ({"max_time": 3.0}, "max_time"),
        ({"prompt_lookup_num_tokens": 3}, "assisted generation"),
        ({"nonsense": 1}, "nonsense"),
        ({"forced_eos_token_id": 257}, "forced_eos_token_id"),
        ({"do_sample": False}, ""),
        ({"do_sample": True, "top_p": 0.9, "min_p": 0.1}, ""),
    ],
)
def test_what_only_generate_can_do_is_named(llama, settings, said):
    reason = TokenChoice(llama, settings).why_not()
    assert said in reason
    assert bool(reason) == bool(said)


def test_random_texts_are_what_the_other_tests_think():
    assert len({len(text) for text in random_texts(9, 2, 40)}) > 3
