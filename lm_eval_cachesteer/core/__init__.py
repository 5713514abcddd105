"""The method itself: vectors, the edit, prefill and scoring, extraction. Knows nothing of the harness."""
