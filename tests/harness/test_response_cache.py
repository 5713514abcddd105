import pytest
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM

from lm_eval_cachesteer.errors import ResponseCacheError

from .support import generation


def answers(lm, path):
    return CachingLM(lm, str(path)).generate_until(generation(["hello there"]))


def test_one_configuration_shares_its_cache(backend, vectors_file, tmp_path):
    first = answers(backend(vectors=str(vectors_file), c_values=2.0), tmp_path / "cache.db")
    again = backend(vectors=str(vectors_file), c_values=2.0)
    assert answers(again, tmp_path / "cache.db") == first
    assert "generate_until" not in again.counts.summary()  # answered from the cache


@pytest.mark.parametrize(
    "other", [{}, {"c_values": 3.0}, {"c_values": 2.0, "layers": "2-"}, {"c_values": 2.0, "offset_token": "\n"}]
)
def test_another_configuration_is_refused(backend, vectors_file, tmp_path, other):
    answers(backend(vectors=str(vectors_file), c_values=2.0), tmp_path / "cache.db")
    arguments = other and {"vectors": str(vectors_file)} | other
    with pytest.raises(ResponseCacheError, match="its own --use_cache file"):
        answers(backend(**arguments), tmp_path / "cache.db")


def test_models_of_one_name_in_two_folders_do_not_share(backend, llama_folder, tmp_path):
    import shutil

    copy = shutil.copytree(llama_folder, tmp_path / "elsewhere" / llama_folder.name)
    answers(backend(), tmp_path / "cache.db")
    answers(backend(batch_size=1), tmp_path / "cache.db")  # the batch size decides no answer
    with pytest.raises(ResponseCacheError, match="its own --use_cache file"):
        answers(backend(pretrained=str(copy)), tmp_path / "cache.db")


def test_a_cache_of_unknown_origin_is_refused(backend, llama_folder, tmp_path):
    answers(HFLM(pretrained=str(llama_folder), device="cpu"), tmp_path / "cache.db")
    with pytest.raises(ResponseCacheError, match="holds answers of a run of another model"):
        answers(backend(), tmp_path / "cache.db")
