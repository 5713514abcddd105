"""The fast path: shared prefixes, packed passes, continuous decoding. Knows tokens and tensors, no harness."""
