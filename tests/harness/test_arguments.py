import pytest
from transformers import T5Config, T5ForConditionalGeneration

from lm_eval_cachesteer.core.tokens import unescape
from lm_eval_cachesteer.errors import ArgumentError, VectorMismatchError
from lm_eval_cachesteer.harness.arguments import SteeringArguments

from ..conftest import build_model, make_vectors
from .support import generation


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vectors", 3),
        ("vectors", " "),
        ("c_keys", "a"),
        ("c_values", float("nan")),
        ("c_values", True),
        ("layers", 1.5),
        ("layers", [-1]),
        ("heads", 2.5),
        ("offset_token", 7),
        ("position", "last"),
        ("answer_prompt", 1),
        ("answer_tokens", 0),
        ("answer_stage", "warm"),
        ("steer_loglikelihood", "perhaps"),
    ],
)
def test_values_out_of_range_list_what_is_allowed(name, value):
    with pytest.raises(ArgumentError, match=rf"{name}=.* is not allowed. Allowed: "):
        SteeringArguments.take_from({"vectors": "stepwise"} | {name: value})


def test_coefficients_without_vectors_are_an_error():
    with pytest.raises(ArgumentError, match="c_values given without vectors"):
        SteeringArguments.take_from({"c_values": 3})


def test_escapes_are_read_as_the_command_line_gives_them():
    assert unescape("\\n\\nSo\\t\\\\n") == "\n\nSo\t\\n"
    assert SteeringArguments.take_from({"offset_token": "\\n"}).offset_token == "\n"


def test_numbers_as_the_harnesss_parser_gives_them():
    from lm_eval.utils import simple_parse_args_string

    parsed = simple_parse_args_string("vectors=v,position=-2,heads=3,layers=4,answer_prompt=none,c_values=-2")
    arguments = SteeringArguments.take_from(parsed)
    assert (arguments.position, arguments.heads, arguments.layers) == (-2, 3, 4)
    assert (arguments.answer_prompt, arguments.c_values) == (None, -2.0)


def test_vectors_are_checked_before_weights_are_loaded(backend, monkeypatch):
    from lm_eval.models.huggingface import HFLM

    monkeypatch.setattr(HFLM, "_create_model", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(ArgumentError, match="No vectors are known as 'nothing'"):
        backend(vectors="nothing")


def test_a_model_object_can_be_passed(llama, tokenizer, vectors_file):
    from lm_eval_cachesteer.harness.backend import CacheSteerLM

    lm = CacheSteerLM(pretrained=llama, tokenizer=tokenizer, vectors=str(vectors_file), c_values=2.0)
    lm.generate_until(generation(["hello"]), disable_tqdm=True)
    assert lm.counts.summary()["generate_until"]["interventions"] == 1
    with pytest.raises(ArgumentError, match="Unknown model argument 'vectorz'"):
        CacheSteerLM(pretrained=llama, tokenizer=tokenizer, vectorz="x")


def test_an_offset_token_of_another_vocabulary_is_refused(backend, llama, tmp_path):
    make_vectors(llama, offset_token="\n", offset_token_id=77).save(tmp_path / "v.safetensors")
    with pytest.raises(VectorMismatchError, match="has id 77, but id"):
        backend(vectors=str(tmp_path / "v.safetensors"))


def test_unknown_arguments_are_named_with_a_guess_and_the_allowed_ones(backend):
    with pytest.raises(ArgumentError, match="'vector' \\(did you mean 'vectors'\\?\\)") as error:
        backend(vector="stepwise")
    assert "c_values: a finite number" in str(error.value)
    assert "max_length" in str(error.value)
    with pytest.raises(ArgumentError, match="Unknown model argument 'c_valeus'"):
        backend(c_valeus=3)


def test_arguments_of_the_loader_and_the_configuration_are_passed_on(backend):
    lm = backend(attn_implementation="eager", rms_norm_eps=1e-3)
    assert lm.model.config.rms_norm_eps == 1e-3
    assert lm.model.config._attn_implementation == "eager"


def test_layers_and_heads_beyond_the_model_are_refused(backend, vectors_file):
    with pytest.raises(ArgumentError, match="the model has layers 0 to 3"):
        backend(vectors=str(vectors_file), layers="2-9")
    with pytest.raises(ArgumentError, match="6 KV heads"):
        backend(vectors=str(vectors_file), heads=7)


def test_an_offset_that_is_not_one_token_is_refused(backend, vectors_file):
    with pytest.raises(ArgumentError, match="offset_token='ab' is not one token"):
        backend(vectors=str(vectors_file), offset_token="ab")


def test_encoder_decoders_are_refused(tokenizer, tmp_path):
    from lm_eval_cachesteer.harness.backend import CacheSteerLM

    config = T5Config(vocab_size=258, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ArgumentError, match="t5 is an encoder-decoder"):
        CacheSteerLM(pretrained=str(tmp_path), device="cpu")


def test_vectors_of_another_architecture_are_refused(backend, tmp_path):
    make_vectors(build_model("gpt2")).save(tmp_path / "gpt2.safetensors")
    with pytest.raises(VectorMismatchError, match="model_type: vectors 'gpt2', model 'llama'"):
        backend(vectors=str(tmp_path / "gpt2.safetensors"))


def test_vectors_of_another_model_of_the_same_architecture_warn_with_both_names(backend, llama, tmp_path, caplog):
    make_vectors(llama, model_id="org/other").save(tmp_path / "v.safetensors")
    backend(vectors=str(tmp_path / "v.safetensors"))
    assert "extracted from org/other and are applied to tiny-llama" in caplog.text


class TestChatMismatch:
    CHAT = "<|user|>hello<|end|><|assistant|>"

    def run(self, backend, llama, tokenizer, tmp_path, from_chat, prompts):
        path = tmp_path / "v.safetensors"
        make_vectors(llama, tokenizer if from_chat else None).save(path)
        backend(vectors=str(path)).generate_until(generation(prompts, max_gen_toks=1), disable_tqdm=True)

    def test_chat_vectors_on_plain_prompts_warn(self, backend, llama, tokenizer, tmp_path, caplog):
        self.run(backend, llama, tokenizer, tmp_path, True, ["hello", self.CHAT])
        assert "chat-templated prompts, but 1 of 2 prompts of this run are plain text" in caplog.text

    def test_plain_vectors_on_chat_prompts_warn(self, backend, llama, tokenizer, tmp_path, caplog):
        self.run(backend, llama, tokenizer, tmp_path, False, [self.CHAT])
        assert "plain-text prompts, but 1 of 1 prompts of this run are chat-templated" in caplog.text

    def test_matching_prompts_do_not_warn(self, backend, llama, tokenizer, tmp_path, caplog):
        self.run(backend, llama, tokenizer, tmp_path, True, [self.CHAT + "prefix"])
        assert "prompts of this run" not in caplog.text

    def test_another_chat_template_warns(self, backend, llama, tmp_path, caplog):
        path = tmp_path / "v.safetensors"
        make_vectors(llama, chat_template_sha256="ab" * 32).save(path)
        backend(vectors=str(path))
        assert "extracted under chat template abababababab" in caplog.text
