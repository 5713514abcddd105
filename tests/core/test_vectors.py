import pytest
import torch

from lm_eval_cachesteer import SteeringVectors
from lm_eval_cachesteer.errors import VectorFileError


def test_vectors_need_both_keys_and_values():
    with pytest.raises(VectorFileError, match="same layers"):
        SteeringVectors({}, {})


def test_recommendations_can_be_changed_and_kept(vectors):
    changed = vectors.recommend(0.2, None)
    assert changed.metadata.recommended_c_keys == 0.2
    assert changed.metadata.recommended_c_values == vectors.metadata.recommended_c_values
    assert changed.sha256 == vectors.sha256


def test_moving_keeps_the_content(vectors):
    assert vectors.to("cpu").sha256 == vectors.sha256
    assert vectors.to(torch.device("cpu")).layers == vectors.layers
