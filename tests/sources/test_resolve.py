import pytest

from lm_eval_cachesteer.core.architecture import Architecture
from lm_eval_cachesteer.errors import ArgumentError, ContrastError, VectorFileError, VectorMismatchError
from lm_eval_cachesteer.sources import resolve
from lm_eval_cachesteer.sources.folders import contrast_folder, tasks_folder, vectors_folder
from lm_eval_cachesteer.sources.resolve import (
    cached_vectors_path,
    known_vectors,
    resolve_contrast_set,
    resolve_vectors,
)

from ..conftest import build_model, make_vectors


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(llama, tmp_path):
    for name, seed in (("one", 1), ("two", 2)):
        make_vectors(llama, seed=seed).save(tmp_path / f"{name}.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("expression", "weights"),
    [
        ("{0}/one.safetensors", [1.0]),
        ("0.5*{0}/one.safetensors+{0}/two.safetensors", [0.5, 1.0]),
        (" -2 * {0}/one.safetensors + 1e-1*{0}/two.safetensors", [-2.0, 0.1]),
    ],
)
def test_files_and_sums(files, expression, weights):
    terms = resolve_vectors(expression.format(files))
    assert [term.weight for term in terms] == weights
    assert terms[0].vectors.sha256 == resolve_vectors(f"{files}/one.safetensors")[0].vectors.sha256


def test_a_file_whose_name_looks_like_a_sum_is_a_file(llama, tmp_path):
    make_vectors(llama).save(tmp_path / "a+2*b.safetensors")
    assert len(resolve_vectors(f"{tmp_path}/a+2*b.safetensors")) == 1


@pytest.mark.parametrize("expression", ["x*stepwise", "stepwise+", "*stepwise", "inf*stepwise", "", "a b"])
def test_malformed_expressions_list_what_is_allowed(expression):
    with pytest.raises(ArgumentError, match="Allowed: a .safetensors file"):
        resolve_vectors(expression)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ArgumentError, match="No vectors are known as 'stepwize'. Known: .*stepwise"):
        resolve_vectors("stepwize")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VectorFileError, match="no such vector file"):
        resolve_vectors(f"{tmp_path}/none.safetensors")


SHIPPED = sorted(path.stem for path in vectors_folder().glob("*/*.safetensors"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_vectors_resolve_by_name_for_the_embedded_model(name):
    (term,) = resolve_vectors(name)
    metadata = term.vectors.metadata
    assert (metadata.kind, metadata.model_id) == (name, "SmolLM2-135M-Instruct-Q4_1")
    assert metadata.recommended_c_values is not None
    contrast = resolve_contrast_set(name)
    assert contrast.sha256 == metadata.contrast_sha256  # made from the set as it is shipped
    assert 40 <= metadata.pair_count <= len(contrast.only(metadata.contrast_items).items)
    if metadata.against_set:
        assert resolve_contrast_set(metadata.against_set).sha256 == metadata.against_sha256


def test_every_contrast_set_has_vectors():
    assert sorted(path.stem for path in contrast_folder().glob("*.jsonl")) == SHIPPED
    assert {known.name for known in known_vectors() if known.origin == "shipped"} == set(SHIPPED)


def test_vectors_are_chosen_by_the_models_architecture(llama):
    with pytest.raises(VectorMismatchError, match="cachesteer extract --contrast stepwise --pretrained org/tiny"):
        resolve_vectors("stepwise", architecture=Architecture.of(llama.config), model_id="org/tiny")
    gpt2 = build_model("gpt2")
    for model, model_id in ((llama, "org/tiny"), (gpt2, "org/gpt2"), (llama, "org/other")):
        seed = sum(model_id.encode())
        make_vectors(model, seed=seed, model_id=model_id).save(cached_vectors_path("stepwise", model_id))
    (term,) = resolve_vectors("stepwise", architecture=Architecture.of(llama.config), model_id="org/tiny")
    assert term.vectors.metadata.model_id == "org/tiny"
    (term,) = resolve_vectors("stepwise", architecture=Architecture.of(gpt2.config), model_id="any")
    assert term.vectors.metadata.model_id == "org/gpt2"
    origins = {(known.metadata.model_id, known.origin) for known in known_vectors()}
    assert ("org/tiny", "cached") in origins
    assert ("SmolLM2-135M-Instruct-Q4_1", "shipped") in origins


@pytest.mark.parametrize(
    ("reference", "repository", "file"),
    [("org/repo", "org/repo", "steering.safetensors"), ("org/repo:a/b.safetensors", "org/repo", "a/b.safetensors")],
)
def test_hub_references(monkeypatch, files, reference, repository, file):
    asked = []

    def download(repo, name, revision=None):
        asked.append((repo, name, revision))
        return str(files / "one.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    (term,) = resolve_vectors(reference, revision="v1")
    assert asked == [(repository, file, "v1")]
    assert term.name == reference


def test_an_unreachable_hub_is_an_error_that_names_the_file():
    with pytest.raises(VectorFileError, match="org/none:steering.safetensors could not be fetched"):
        resolve_vectors("org/none")


def test_contrast_sets_by_name_and_path(tmp_path):
    assert resolve_contrast_set("stepwise").name == "stepwise"
    path = tmp_path / "mine.jsonl"
    path.write_text('{"positive": "a", "negative": "b"}\n')
    assert resolve_contrast_set(str(path)).name == "mine"
    with pytest.raises(ContrastError, match="Shipped: .*stepwise"):
        resolve_contrast_set("none")


def test_shipped_folders_exist():
    assert (tasks_folder() / "demo" / "cachesteer_demo.yaml").is_file()
    assert (contrast_folder() / "stepwise.jsonl").is_file()
    assert list(vectors_folder().glob("*/stepwise.safetensors"))


def test_a_folder_with_vectors(llama, tmp_path):
    make_vectors(llama).save(tmp_path / "folder" / resolve.VECTORS_FILE)
    assert resolve_vectors(str(tmp_path / "folder"))[0].vectors.layers == [0, 1, 2, 3]
