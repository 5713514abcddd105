"""An activation vector is made from the very pairs that the steering vectors come from."""

import json
from dataclasses import replace

import pytest

from lm_eval_cachesteer.core.contrast import ContrastSet
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.prompts import PromptSettings, build_pairs
from lm_eval_cachesteer.errors import ContrastError
from lm_eval_cachesteer.sources.folders import contrast_folder
from lm_eval_cachesteer.sources.resolve import resolve_vectors
from lm_eval_cachesteer.study.pairs import Source


def shipped(name):
    return ContrastSet.read(contrast_folder() / f"{name}.jsonl")


def recorded(**changes):
    given = VectorMetadata(
        kind="stepwise",
        model_id="m",
        chat_template_sha256="c0ffee",
        contrast_set="stepwise",
        contrast_sha256=shipped("stepwise").sha256,
        contrast_items="m*",
        pair_count=7,
        fewshot_count=2,
        fewshot_selection="random:3",
    )
    return replace(given, **changes)


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({}, PromptSettings(fewshot=2, seed=3, chat=True)),
        ({"fewshot_selection": "similar"}, PromptSettings(fewshot=2, selection="similar", chat=True)),
        ({"chat_template_sha256": ""}, PromptSettings(fewshot=2, seed=3, chat=False)),
    ],
)
def test_the_pairs_are_those_that_the_metadata_describe(tokenizer, changes, settings):
    found = Source.of(recorded(**changes)).pairs(tokenizer)
    assert found == build_pairs(shipped("stepwise").only("m*"), tokenizer, settings)[:7]


def test_one_form_against_another(tokenizer):
    against = shipped("cot")
    metadata = recorded(against_set="cot", against_sha256=against.sha256)
    settings = PromptSettings(fewshot=2, seed=3, chat=True)
    expected = build_pairs(shipped("stepwise").only("m*"), tokenizer, settings, against)[:7]
    assert Source.of(metadata).pairs(tokenizer) == expected


def test_shipped_vectors_name_pairs_that_are_there(tokenizer):
    (term,) = resolve_vectors("stepwise")
    assert len(Source.of(term.vectors.metadata).pairs(tokenizer)) == term.vectors.metadata.pair_count


def test_the_set_of_the_vectors_named_by_its_file_gives_the_same_pairs(tokenizer):
    by_name, by_file = Source.of(recorded()), Source.of(recorded(), str(contrast_folder() / "stepwise.jsonl"))
    assert by_file.identity == by_name.identity


def test_another_set_is_used_as_it_is(tokenizer):
    found = Source.of(recorded(), "concise")
    assert found.pairs(tokenizer) == build_pairs(shipped("concise"), tokenizer, PromptSettings())


def test_a_set_that_has_changed_or_gone_is_not_taken_for_the_one_of_the_vectors(tmp_path):
    remedy = "Name a set with --contrast, or leave activation steering out with --no-activation."
    with pytest.raises(ContrastError, match="'mine' is neither a file nor a shipped contrast set") as gone:
        Source.of(recorded(contrast_set="mine"))
    with pytest.raises(ContrastError, match="'stepwise' is no longer the one") as changed:
        Source.of(recorded(contrast_sha256="0" * 64))
    with pytest.raises(ContrastError, match="'cot' is no longer the one"):
        Source.of(recorded(against_set="cot", against_sha256="0" * 64))
    assert str(gone.value).endswith(remedy)
    assert str(changed.value).endswith(remedy)


@pytest.mark.parametrize(
    "changes",
    [{"pair_count": 6}, {"fewshot_count": 3}, {"fewshot_selection": "random:4"}, {"contrast_items": "w*"}],
)
def test_the_identity_says_which_pairs(changes):
    assert Source.of(recorded(**changes)).identity != Source.of(recorded()).identity
    json.dumps(Source.of(recorded(**changes)).identity)
