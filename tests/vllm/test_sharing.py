"""Which blocks of a steered prompt other requests may use."""

import hashlib
from types import SimpleNamespace

from lm_eval_cachesteer.vllm.sharing import private_hasher

BLOCK = 4


def chained(request):
    """vLLM's way: each full block's hash covers all tokens up to its end."""
    new = []
    for number in range(len(request.block_hashes), len(request.tokens) // BLOCK):
        before = (request.block_hashes + new)[-1] if number else b""
        new.append(hashlib.sha256(before + bytes(request.tokens[number * BLOCK : (number + 1) * BLOCK])).digest())
    return new


def hashes(tokens, hasher, *later):
    """Hashes of a request that grows, as one that decodes."""
    request = SimpleNamespace(tokens=list(tokens), block_hashes=[])
    request.block_hashes += hasher(request)
    for token in later:
        request.tokens.append(token)
        request.block_hashes += hasher(request)
    return request.block_hashes


def test_blocks_before_the_edit_are_shared_and_no_others():
    tokens, later = range(18), range(18, 30)
    plain = hashes(tokens, chained, *later)
    first = hashes(tokens, private_hasher(chained, 2, b"one"), *later)
    second = hashes(tokens, private_hasher(chained, 2, b"two"), *later)
    assert len(plain) == len(first) == len(second) == 7
    assert plain[:2] == first[:2] == second[:2]
    assert len({*plain[2:], *first[2:], *second[2:]}) == 15


def test_an_edit_in_the_first_block_shares_nothing():
    assert not set(hashes(range(12), chained)) & set(hashes(range(12), private_hasher(chained, 0, b"salt")))
