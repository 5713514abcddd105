"""Prompts at the edges: very short, very long, cut, full of special tokens; on both paths, against the oracle."""

import pytest
import torch

from lm_eval_cachesteer.errors import CacheLayoutError, SteeringError
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.steerer import KVSteerer

from .. import oracle
from ..conftest import CHAT_TEMPLATE, make_vectors, random_texts
from ..harness.support import counts, generation, likelihood
from .checks import EOS, NEW_TOKENS, build, layers_with_keys, telling_tokenizer

C_VALUES = 2.0
BOTH_PATHS = pytest.mark.parametrize("engine", ["auto", "generate"])
OFFSETS = pytest.mark.parametrize("offset", ["", "\n"])


class Subject:
    """A steered model, and what the oracle says about it.

    Args:
        family: A name in `FAMILIES`.
        folder: Where its vectors go.
    """

    def __init__(self, family, folder):
        self.model, self.tokenizer = build(family), telling_tokenizer()
        vectors = make_vectors(self.model, layers=layers_with_keys(self.model))
        self.path = folder / f"{family}.safetensors"
        vectors.save(self.path)
        self.values = {i: C_VALUES * tensor for i, tensor in vectors.values.items() if i >= 1}
        self.keys = {i: torch.zeros_like(vectors.keys[i]) for i in self.values}

    def backend(self, engine, offset="", **arguments):
        settings = {"max_length": 250, "batch_size": 4} | arguments
        return CacheSteerLM(
            pretrained=self.model, tokenizer=self.tokenizer, device="cpu", engine=engine, vectors=str(self.path),
            c_values=C_VALUES, offset_token=offset or "none", **settings,
        )  # fmt: skip

    def text(self, prompt):
        """The steered answer to token ids; prompts of one token have nothing to steer."""
        if len(prompt) > 1:
            tokens = oracle.greedy(self.model, prompt, self.keys, self.values, NEW_TOKENS, EOS)
        else:
            tokens = self.unsteered(prompt)
        return self.decoded(tokens)

    def decoded(self, tokens):
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def unsteered(self, prompt):
        """Greedy tokens without any cache: the whole text is fed again for each token."""
        produced = []
        with torch.no_grad():
            while len(produced) < NEW_TOKENS and EOS not in produced:
                logits = self.model(torch.tensor([[*prompt, *produced]]), use_cache=False).logits
                produced.append(int(logits[0, -1].argmax()))
        return produced

    def score(self, context, continuation):
        """The steered likelihood of token ids after others; contexts of one token have nothing to steer."""
        if len(context) > 1:
            return oracle.loglikelihood(self.model, context, continuation, self.keys, self.values)[0]
        with torch.no_grad():
            logits = self.model(torch.tensor([context + continuation]), use_cache=False).logits[0]
        predicted = logits.log_softmax(-1)[len(context) - 1 : -1]
        return float(predicted.gather(1, torch.tensor(continuation)[:, None]).sum())

    def assert_exact(self, lm, texts, prompts, contexts=None, continuation=" yes"):
        """Generation and likelihood of texts, against the oracle on the tokens that should be fed."""
        assert lm.generate_until(generation(texts, max_gen_toks=NEW_TOKENS)) == [
            self.text(prompt) for prompt in prompts
        ]
        tokens = self.tokenizer.encode(continuation)
        found = lm.loglikelihood(likelihood([(text, continuation) for text in texts]))
        expected = [self.score(context, tokens) for context in contexts or prompts]
        assert [logprob for logprob, _ in found] == pytest.approx(expected, abs=1e-4)
        steerable = sum(len(prompt) > 1 for prompt in prompts)
        for kind in ("generate_until", "loglikelihood"):
            assert counts(lm, kind) == (len(texts), steerable, len(texts) - steerable)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    made = {}

    def subject(family):
        if family not in made:
            try:
                made[family] = Subject(family, tmp_path_factory.mktemp(family))
            except CacheLayoutError as error:  # hybrid models before transformers had one cache for all
                pytest.skip(str(error))
        return made[family]

    return subject


@BOTH_PATHS
@pytest.mark.parametrize("family", ["gemma3_text", "mistral"])
def test_prompts_around_and_beyond_a_sliding_window(subjects, family, engine):
    """Windows of 16: in some layers, in all layers; the last prompt leaves it many times over."""
    subject = subjects(family)
    texts = [random_texts(1, n, n, seed=n)[0] for n in (3, 15, 16, 17, 18, 33, 120)]
    subject.assert_exact(subject.backend(engine), texts, subject.tokenizer(texts)["input_ids"])


@BOTH_PATHS
@pytest.mark.parametrize("family", ["gemma3_text", "mistral"])
def test_a_token_that_has_left_the_window_is_not_steered_in_silence(subjects, family, engine):
    """The window of 16 ends 15 tokens before the next one; an edit further back would change nothing there."""
    subject = subjects(family)
    texts = random_texts(3, 40, 44)
    visible = subject.backend(engine, position=-15)
    visible.generate_until(generation(texts))
    assert counts(visible, "generate_until") == (3, 3, 0)
    for position in (-16, 0):
        lm = subject.backend(engine, position=position)
        with pytest.raises(CacheLayoutError, match="closer to the end of the prompt, or leave this layer out of"):
            lm.generate_until(generation(texts))
        with pytest.raises(CacheLayoutError, match="closer to the end of the prompt, or leave this layer out of"):
            lm.loglikelihood(likelihood([(text, " yes") for text in texts]))


@OFFSETS
@BOTH_PATHS
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_contexts_are_cut_from_the_left_beside_others_that_fit(subjects, family, engine, offset):
    subject = subjects(family)
    lm = subject.backend(engine, offset, max_length=40)
    texts = [random_texts(1, n, n, seed=n)[0] for n in (5, 31, 32, 33, 37, 90)]
    tail = subject.tokenizer.encode(offset)
    encoded = subject.tokenizer(texts)["input_ids"]
    prompts = [tokens[-(40 - NEW_TOKENS - len(tail)) :] + tail for tokens in encoded]
    contexts = [(tokens + tail)[-(40 + 1 - len(" yes")) :] for tokens in encoded]
    subject.assert_exact(lm, texts, prompts, contexts)


@OFFSETS
@BOTH_PATHS
@pytest.mark.parametrize("family", ["llama", "gpt2", "lfm2"])
def test_prompts_of_no_one_and_two_tokens(subjects, family, engine, offset):
    """An empty prompt is the prefix token alone."""
    subject = subjects(family)
    lm = subject.backend(engine, offset)
    texts = ["", "a", "ab", "abc", ""]
    tail = subject.tokenizer.encode(offset)
    prompts = [(subject.tokenizer.encode(text) or [lm.prefix_token_id]) + tail for text in texts]
    subject.assert_exact(lm, texts, prompts)


@BOTH_PATHS
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "bloom"])
def test_lengths_that_differ_a_hundredfold_in_one_batch(subjects, family, engine):
    subject = subjects(family)
    texts = ["ab", random_texts(1, 200, 200)[0], "cd", random_texts(1, 20, 20)[0]]
    subject.assert_exact(subject.backend(engine), texts, subject.tokenizer(texts)["input_ids"])


@BOTH_PATHS
@pytest.mark.parametrize("family", ["llama", "opt", "lfm2"])
def test_special_tokens_inside_prompts_are_tokens_and_no_padding(subjects, family, engine):
    """The padding token is the end token; prompts hold it at their start, inside, and as the token that is edited."""
    subject = subjects(family)
    assert subject.tokenizer.pad_token_id == subject.tokenizer.eos_token_id == EOS
    texts = ["<eos><eos>ab", "a question<eos>and more", "ends so<eos>x", "ends<eos>", "<bos>begins", "plain one"]
    prompts = subject.tokenizer(texts)["input_ids"]
    assert [prompt.count(EOS) for prompt in prompts] == [2, 1, 1, 1, 0, 0]
    subject.assert_exact(subject.backend(engine), texts, prompts)


@BOTH_PATHS
def test_chat_templated_prompts_with_special_tokens(subjects, engine, monkeypatch):
    """A template whose turns end in the end token, as many do."""
    subject = subjects("llama")
    lm = subject.backend(engine)
    monkeypatch.setattr(lm.tokenizer, "chat_template", CHAT_TEMPLATE.replace("<|end|>", "<eos>"))
    chats = [[{"role": "user", "content": text}] for text in random_texts(5, 3, 40)]
    texts = [lm.apply_chat_template(chat) for chat in chats]
    assert all("<eos><|assistant|>" in text for text in texts)
    prompts = [
        subject.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats
    ]
    assert all(prompt.count(EOS) == 1 for prompt in prompts)
    subject.assert_exact(lm, texts, prompts)


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "jamba"])
def test_a_steered_second_stage_on_the_path_of_generate(subjects, family):
    """What lies between the prompt and the second answer is fed after the edit, also where one pass would be wrong."""
    subject = subjects(family)
    texts = random_texts(4, 3, 30)
    lm = subject.backend("generate", answer_prompt=" So", answer_tokens=4, answer_stage="steered")
    answers = lm.generate_until(generation(texts, max_gen_toks=NEW_TOKENS))
    for text, answer in zip(texts, answers, strict=True):
        prompt = subject.tokenizer.encode(text)
        response = subject.text(prompt)
        cache, _ = oracle.steered_cache(subject.model, prompt[:-1], subject.keys, subject.values)
        fed = [prompt[-1], *subject.tokenizer.encode(response), *subject.tokenizer.encode(" So")]
        produced = []
        while len(produced) < 4 and EOS not in produced:
            for token in fed or produced[-1:]:
                position = int(cache.get_seq_length())
                logits = oracle.step(subject.model, cache, token, position)
            fed = []
            produced.append(int(logits.argmax()))
        assert answer == f"{response} So{subject.decoded(produced)}"


@pytest.mark.parametrize("through", ["harness", "KVSteerer"])
def test_a_text_that_makes_the_model_drop_its_cache_is_refused(subjects, through):
    """LongRoPE: beyond the original length Phi-3 switches its rotary scale and starts over from an unedited cache."""
    subject = subjects("phi3_longrope")
    start = subject.model.config.original_max_position_embeddings - 5
    fits, crosses, beyond = (random_texts(1, n, n, seed=3)[0] for n in (start, start + 3, start + 20))
    message = "Phi3ForCausalLM dropped the edited cache of 128 tokens"
    if through == "harness":
        lm = subject.backend("auto")
        subject.assert_exact(lm, [fits], [subject.tokenizer.encode(fits)])
        lm.generate_until(generation([beyond], max_gen_toks=NEW_TOKENS))
        with pytest.raises(SteeringError, match=message):
            lm.generate_until(generation([crosses], max_gen_toks=NEW_TOKENS))
    else:
        steerer = KVSteerer.from_pretrained(str(subject.path), cv=C_VALUES, offset_token=None)
        ids = torch.tensor([subject.tokenizer.encode(crosses)])
        with pytest.raises(SteeringError, match=message):
            steerer.steer(subject.model, ids, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None)
