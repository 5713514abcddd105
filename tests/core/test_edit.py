import pytest
import torch
from transformers import DynamicCache

from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.errors import ArgumentError, SteeringError, VectorMismatchError

from ..conftest import make_vectors


def term(vectors, weight=1.0, name="v"):
    return WeightedVectors(name, weight, vectors)


def snapshot(cache):
    return [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]


@pytest.fixture
def cache(llama):
    ids = torch.tensor([[257, 257, 5, 6, 7], [1, 2, 3, 4, 5], [8, 9, 257, 257, 257]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    with torch.no_grad():
        return llama(ids, attention_mask=mask, use_cache=True).past_key_values, mask


def test_only_the_asked_position_changes_and_by_the_scaled_vector(cache, vectors):
    cache, mask = cache
    before = snapshot(cache)
    edit = CacheEdit.build([term(vectors)], c_keys=0.5, c_values=2.0, layers="1-2")
    assert edit.apply(cache, mask) == 3
    for i, (keys, values) in enumerate(before):
        expected_keys, expected_values = keys.clone(), values.clone()
        if i in (1, 2):
            for row, column in enumerate([4, 4, 1]):
                expected_keys[row, :, column] += 0.5 * vectors.keys[i]
                expected_values[row, :, column] += 2.0 * vectors.values[i]
        assert torch.equal(cache.layers[i].keys, expected_keys)
        assert torch.equal(cache.layers[i].values, expected_values)


def test_layer_zero_is_left_alone_by_default(cache, vectors):
    cache, mask = cache
    before = snapshot(cache)
    CacheEdit.build([term(vectors)], c_values=1.0).apply(cache, mask)
    assert torch.equal(cache.layers[0].values, before[0][1])
    assert all(not torch.equal(cache.layers[i].values, before[i][1]) for i in (1, 2, 3))


def test_rows_without_the_token_are_left_alone_and_not_counted(cache, vectors):
    cache, mask = cache
    before = snapshot(cache)
    assert CacheEdit.build([term(vectors)], c_values=1.0, position=-3).apply(cache, mask) == 2
    assert torch.equal(cache.layers[1].values[2], before[1][1][2])
    assert torch.equal(cache.layers[1].values[0, :, 2], before[1][1][0, :, 2] + vectors.values[1])


def test_a_weighted_sum_adds_each_terms_own_recommendation(llama):
    one = make_vectors(llama, seed=1, recommended_c_keys=0.1, recommended_c_values=2.0)
    two = make_vectors(llama, seed=2, recommended_c_values=3.0)
    edit = CacheEdit.build([term(one, 0.5), term(two, -1.0)], layers="all")
    for i in range(4):
        torch.testing.assert_close(edit.keys[i], 0.5 * 0.1 * one.keys[i])
        torch.testing.assert_close(edit.values[i], 0.5 * 2.0 * one.values[i] - 3.0 * two.values[i])
    given = CacheEdit.build([term(one, 0.5), term(two)], c_keys=0.2, c_values=4.0, layers="all")
    torch.testing.assert_close(given.keys[2], 0.2 * (0.5 * one.keys[2] + two.keys[2]))


def test_heads_keeps_the_k_largest(vectors):
    edit = CacheEdit.build([term(vectors)], c_values=1.0, layers="all", heads=3)
    norms = {(i, h): float(vectors.values[i][h].norm()) for i in range(4) for h in range(2)}
    largest = sorted(norms, key=norms.get)[-3:]
    for (i, h), _ in norms.items():
        expected = vectors.values[i][h] if (i, h) in largest else torch.zeros(8)
        assert torch.equal(edit.values[i][h], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_sum_is_taken_in_float32_and_cast_once(llama, vectors, dtype):
    cache = DynamicCache()
    keys = torch.randn(1, 2, 3, 8).to(dtype)
    for i in range(4):
        cache.update(keys.clone(), keys.clone(), i)
    CacheEdit.build([term(vectors)], c_keys=0.3, c_values=0.7).apply(cache)
    expected = (keys[0, :, -1].float() + 0.7 * vectors.values[1]).to(dtype)
    assert torch.equal(cache.layers[1].values[0, :, -1], expected)


def test_overflow_in_float16_is_an_error(vectors):
    cache = DynamicCache()
    for i in range(4):
        cache.update(torch.zeros(1, 2, 3, 8).half(), torch.zeros(1, 2, 3, 8).half(), i)
    with pytest.raises(SteeringError, match="overflow float16"):
        CacheEdit.build([term(vectors)], c_values=1e6).apply(cache)


def test_caches_made_in_inference_mode_can_be_edited(llama, vectors):
    with torch.inference_mode():
        cache = llama(torch.tensor([[1, 2, 3]]), use_cache=True).past_key_values
    before = cache.layers[1].values.clone()
    assert CacheEdit.build([term(vectors)], c_values=1.0).apply(cache) == 1
    assert torch.equal(cache.layers[1].values[0, :, -1], before[0, :, -1] + vectors.values[1])


def test_zero_coefficients_change_nothing(vectors):
    assert CacheEdit.build([term(vectors)], c_keys=0.0, c_values=0.0).is_zero
    assert not CacheEdit.build([term(vectors)], c_keys=0.0, c_values=1.0).is_zero


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "6", True])
def test_coefficients_must_be_finite_numbers(vectors, value):
    with pytest.raises(ArgumentError, match="Allowed: a finite number"):
        CacheEdit.build([term(vectors)], c_values=value)


def test_missing_recommendation_is_an_error(llama):
    with pytest.raises(ArgumentError, match="recommend no c_values"):
        CacheEdit.build([term(make_vectors(llama, recommended_c_values=None))])


def test_vectors_of_other_shapes_or_layers_are_refused(cache, llama):
    cache, mask = cache
    narrow = SteeringVectors({1: torch.ones(2, 4)}, {1: torch.ones(2, 4)})
    with pytest.raises(VectorMismatchError, match="2 KV heads of width 8 in the cache, but 2 heads of width 4"):
        CacheEdit.build([term(narrow)], c_values=1.0).apply(cache, mask)
    deep = SteeringVectors({9: torch.ones(2, 8)}, {9: torch.ones(2, 8)})
    with pytest.raises(VectorMismatchError, match=r"steer layers \[9\]"):
        CacheEdit.build([term(deep)], c_values=1.0).apply(cache, mask)
    with pytest.raises(VectorMismatchError, match="different models"):
        CacheEdit.build([term(make_vectors(llama)), term(narrow)], c_values=1.0)


def test_a_mask_that_does_not_cover_the_cache_is_refused(cache, vectors):
    cache, mask = cache
    with pytest.raises(SteeringError, match="attention_mask has shape"):
        CacheEdit.build([term(vectors)], c_values=1.0).apply(cache, mask[:, :3])
