import pytest
import torch

from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.prompts import TokenPair
from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.extraction import extract

from .conftest import build_model, random_texts

METADATA = VectorMetadata(kind="test", model_id="tiny")


def make_pairs(count, longest=60):
    positives, negatives = random_texts(count, 5, longest, seed=1), random_texts(count, 3, 20, seed=2)
    return [TokenPair((*p.encode(), 33), (*n.encode(), 33)) for p, n in zip(positives, negatives, strict=True)]


@torch.no_grad()
def oracle_vectors(model, pairs):
    """The paper's loop: one prompt at a time, last token's cache, mean of the differences."""
    differences = []
    for pair in pairs:
        sides = []
        for tokens in (pair.positive, pair.negative):
            cache = model(torch.tensor([tokens]), use_cache=True).past_key_values
            sides.append([(layer.keys[0, :, -1], layer.values[0, :, -1]) for layer in cache.layers])
        differences.append([(p[0] - n[0], p[1] - n[1]) for p, n in zip(*sides, strict=True)])
    layers = range(len(differences[0]))
    keys = {i: torch.stack([d[i][0] for d in differences]).mean(0) for i in layers}
    values = {i: torch.stack([d[i][1] for d in differences]).mean(0) for i in layers}
    return keys, values


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3_text"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_every_batch_size_and_padding_side_equals_the_papers_loop(kind, side, batch_size):
    model, pairs = build_model(kind), make_pairs(7)
    if kind == "gemma3_text" and side == "right" and batch_size > 1:
        pairs = make_pairs(7, longest=15)  # a window forgets the last real token behind long right padding
    vectors = extract(model, pairs, METADATA, pad_token_id=257, batch_size=batch_size, padding_side=side)
    assert_equal_to_the_papers_loop(vectors, model, pairs)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3_text"])
@pytest.mark.parametrize("header_tokens", [30, 200])
def test_pairs_that_share_their_examples_equal_the_papers_loop(kind, header_tokens):
    model, header = build_model(kind), random_texts(1, header_tokens, header_tokens, seed=9)[0].encode()
    pairs = [TokenPair((*header, *pair.positive), (*header, *pair.negative)) for pair in make_pairs(7, longest=40)]
    vectors = extract(model, pairs, METADATA, pad_token_id=257, batch_size=16)
    assert_equal_to_the_papers_loop(vectors, model, pairs)


def assert_equal_to_the_papers_loop(vectors, model, pairs):
    keys, values = oracle_vectors(model, pairs)
    for i in range(4):
        torch.testing.assert_close(vectors.keys[i], keys[i], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(vectors.values[i], values[i], rtol=1e-4, atol=1e-5)


def test_an_interrupted_extraction_goes_on_and_ends_bit_for_bit_the_same(llama, tmp_path):
    pairs, progress = make_pairs(9), tmp_path / "work.partial.safetensors"
    whole = extract(llama, pairs, METADATA, pad_token_id=257, batch_size=2)

    class Killed(Exception):
        pass

    def kill_at_four(done):
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        extract(
            llama, pairs, METADATA, pad_token_id=257, batch_size=2, progress_file=progress, on_progress=kill_at_four
        )
    seen = []
    resumed = extract(
        llama, pairs, METADATA, pad_token_id=257, batch_size=2, progress_file=progress, on_progress=seen.append
    )
    assert seen == [4, 6, 8, 9]
    assert resumed.sha256 == whole.sha256


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_progress_of_another_job_or_damaged_is_not_used(llama, tmp_path, content):
    pairs, progress = make_pairs(3), tmp_path / "work.partial.safetensors"
    if content is None:
        extract(llama, make_pairs(2), METADATA, pad_token_id=257, progress_file=progress)
    else:
        progress.write_bytes(content)
    seen = []
    vectors = extract(llama, pairs, METADATA, pad_token_id=257, progress_file=progress, on_progress=seen.append)
    assert seen[0] == 0
    assert vectors.sha256 == extract(llama, pairs, METADATA, pad_token_id=257).sha256


def test_bad_settings_are_refused(llama):
    with pytest.raises(ArgumentError, match="No contrast pairs"):
        extract(llama, [], METADATA, pad_token_id=257)
    with pytest.raises(ArgumentError, match="batch_size=0"):
        extract(llama, make_pairs(1), METADATA, pad_token_id=257, batch_size=0)
