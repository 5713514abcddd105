"""Keeping edited cache blocks out of vLLM's prefix cache.

vLLM knows a block by a hash of the tokens up to its end. An edited block holds other states than these tokens give, so
its hash, and those of all blocks after it, are made unique. Blocks before it stay shared with every request.
"""

import hashlib
from collections.abc import Callable
from typing import Any

# Hashes of the blocks of a request that have none yet.
BlockHasher = Callable[[Any], list[Any]]


def private_hasher(shared: BlockHasher, first: int, salt: bytes) -> BlockHasher:
    """A hasher whose hashes from one block on equal those of no other request.

    Args:
        shared: vLLM's hasher.
        first: The first block with an edited token.
        salt: Unique to the request, and to each time its prompt is prefilled.
    """

    def hasher(request: Any) -> list[Any]:
        known = len(request.block_hashes)
        return [
            block if number < first else hashlib.sha256(salt + block).digest()
            for number, block in enumerate(shared(request), start=known)
        ]

    return hasher
