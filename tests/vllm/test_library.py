"""Vectors by name, from one folder."""

from dataclasses import replace

import pytest
import torch

from lm_eval_cachesteer.core.architecture import Architecture
from lm_eval_cachesteer.errors import ArgumentError, VectorFileError, VectorMismatchError
from lm_eval_cachesteer.vllm.library import VectorLibrary
from lm_eval_cachesteer.vllm.settings import SteeringSettings

from ..conftest import make_vectors


@pytest.fixture
def shelf(llama, tmp_path):
    """A library of two vectors that fit and one that does not; another file lies beside the folder."""
    ours = Architecture.of(llama.config)
    folder = tmp_path / "vectors"
    (folder / "some-model").mkdir(parents=True)
    make_vectors(llama, seed=1, offset_token="\n", offset_token_id=10).save(folder / "mine.safetensors")
    make_vectors(llama, seed=2).save(folder / "some-model" / "theirs.safetensors")
    make_vectors(llama, architecture=replace(ours, hidden_size=99)).save(folder / "foreign.safetensors")
    make_vectors(llama).save(folder / ".hidden.safetensors")
    make_vectors(llama).save(tmp_path / "secret.safetensors")
    return VectorLibrary(folder, ours, "tiny-llama")


def test_the_names_are_those_that_fit(shelf):
    assert shelf.names() == ["mine", "theirs"]


def test_the_edit_is_the_scaled_vectors(shelf, llama):
    expected = make_vectors(llama, seed=1)
    edit = shelf.edit(SteeringSettings("mine", c_keys=0.5, c_values=3.0, layers="2-"))
    assert sorted(edit.keys) == [2, 3]
    assert torch.equal(edit.keys[2], 0.5 * expected.keys[2])
    assert torch.equal(edit.values[3], 3.0 * expected.values[3])
    recommended = shelf.edit(SteeringSettings("mine"))
    assert torch.equal(recommended.values[1], expected.values[1])
    assert not recommended.keys[1].any()


def test_equal_settings_are_one_edit_wherever_the_prompt_is_cut(shelf):
    first = shelf.edit(SteeringSettings("mine", c_values=3.0))
    assert shelf.edit(SteeringSettings("mine", c_values=3.0, position=-2, cached=9)) is first
    assert shelf.edit(SteeringSettings("mine", c_values=3.5)) is not first
    for i in range(100):
        shelf.edit(SteeringSettings("theirs", c_values=1.0 + i))
    assert shelf.edit(SteeringSettings("mine", c_values=3.0)) is not first  # no request can fill the memory


@pytest.mark.parametrize(
    "name", ["nothing", "../secret", "../secret.safetensors", "some-model/theirs", ".hidden", "/etc/passwd", "a/b", "*"]
)
def test_no_name_leads_out_of_the_folder(shelf, name):
    with pytest.raises(ArgumentError, match="No vectors are known as .*Known for this model: mine, theirs"):
        shelf.edit(SteeringSettings(name))


def test_vectors_of_another_model_are_refused(shelf):
    with pytest.raises(VectorMismatchError, match="hidden_size: vectors 99"):
        shelf.edit(SteeringSettings("foreign"))


def test_a_damaged_file_is_named(shelf):
    (shelf.folder / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(VectorFileError, match="damaged.safetensors"):
        shelf.names()


def test_the_offset_token_is_the_recorded_one_unless_the_prompt_holds_it_already(shelf):
    assert shelf.offset(SteeringSettings("mine")) == [10]
    assert shelf.offset(SteeringSettings("mine", offset="none")) == []
    assert shelf.offset(SteeringSettings("mine", cached=4)) == []
    assert shelf.offset(SteeringSettings("theirs")) == []


def test_vectors_that_come_later_are_found(shelf, llama):
    with pytest.raises(ArgumentError, match="No vectors are known as 'new'"):
        shelf.edit(SteeringSettings("new"))
    make_vectors(llama, seed=3).save(shelf.folder / "new.safetensors")
    assert torch.equal(shelf.edit(SteeringSettings("new")).values[1], make_vectors(llama, seed=3).values[1])
