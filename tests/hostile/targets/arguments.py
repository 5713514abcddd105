"""Model arguments, vector expressions, and the axes of a sweep's grid."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from hypothesis import strategies as st
from lm_eval.utils import simple_parse_args_string

from lm_eval_cachesteer.core.selection import select_heads, select_layers
from lm_eval_cachesteer.harness.arguments import EngineArguments, SteeringArguments
from lm_eval_cachesteer.sources import resolve
from lm_eval_cachesteer.sweep.grid import NUMBERS, TEXTS, WHOLE_NUMBERS, cells, draw, parse_axis, size

from .. import cases
from ..property import tried

_LAYERS, _HEADS = 6, 3
_NAMES = tuple(field.name for kind in (SteeringArguments, EngineArguments) for field in fields(kind))
_VALUES = (
    *("mine", "stepwise", "0.5*mine+stepwise", "1-", "4-20", "0", "-1", "2", "1e3", "all", "auto", "fresh", "steered"),
    *("[1,3]", "1+4", "generate", "1.5", "True", "10-2", "99999999999", "'7'", "\\n\\t\\\\", "2-", "-", "1-2-3"),
)
_PAIRS = st.tuples(st.sampled_from(_NAMES) | cases.TEXTS, st.sampled_from(_VALUES) | cases.TEXTS)

ARGUMENTS = st.lists(_PAIRS, max_size=6).map(lambda pairs: ",".join(map("=".join, pairs)))
EXPRESSIONS = cases.texts_of(
    ("mine", "stepwise", "0.5*", "-1*", "1e999*", "nan*", "+", "*", " ", "org/repo", ":", "../", "/", "a.safetensors"),
    7,
)
AXES = st.lists(
    st.tuples(
        st.sampled_from((*NUMBERS, *WHOLE_NUMBERS, *TEXTS)) | cases.TEXTS,
        cases.texts_of(("1", "2", "10", "0.1", ":", ",", "-", "1e9", "1e-9", "1e99", "all", "1-", "mine", "."), 8),
    ).map("=".join),
    min_size=1,
    max_size=3,
)


def check_arguments(text: str, folder: Path) -> None:
    """Arguments that are taken say which layers and heads of a model are steered."""
    try:
        given = simple_parse_args_string(text)
    except ValueError:  # of the harness's own reader: a number of thousands of digits
        return
    engine = tried(lambda: EngineArguments.take_from(given))
    assert engine is None or engine.most_drafted(samples=False) >= engine.most_drafted(samples=True) >= 0
    arguments = tried(lambda: SteeringArguments.take_from(given))
    if arguments is None:
        return
    json.dumps(vars(arguments), allow_nan=False)
    layers = tried(lambda: select_layers(arguments.layers, _LAYERS))
    if layers is not None:
        assert layers == sorted(set(layers))
        assert set(layers) <= set(range(_LAYERS))
        tensors = {layer: torch.arange(4.0 * _HEADS).reshape(_HEADS, 4) * (layer + 1) for layer in layers}
        masks = tried(lambda: select_heads(arguments.heads, tensors, tensors))
        if masks is not None:
            asked = _HEADS * len(layers) if arguments.heads == "all" else int(arguments.heads)
            assert sum(float(mask.sum()) for mask in masks.values()) == asked
    if arguments.vectors is not None:
        check_expression(arguments.vectors, folder)


def check_expression(text: str, _: Path) -> None:
    """Expressions that are understood are terms with finite weights; a name keeps its file in its folder."""
    terms = tried(lambda: resolve.resolve_vectors(text))
    assert terms is None or (terms and all(math.isfinite(term.weight) and term.vectors.layers for term in terms))
    tried(lambda: resolve.resolve_contrast_set(text))
    path = tried(lambda: resolve.cached_vectors_path(text, text))
    assert path is None or path.resolve().parents[1] == resolve.cached_vectors_folder().resolve()


def check_axes(texts: Sequence[str], _: Path) -> None:
    """Axes that are read hold each value once; settings drawn from them are different."""
    axes = tried(lambda: [parse_axis(text) for text in texts])
    if axes is None:
        return
    for axis in axes:
        assert len(set(axis.values)) == len(axis.values) > 0
        for value in axis.values:
            if axis.name in NUMBERS:
                assert isinstance(value, float)
                assert math.isfinite(value)
            elif axis.name in WHOLE_NUMBERS:
                assert value == "all" or type(value) is int
            else:
                assert isinstance(value, str)
    drawn = tried(lambda: draw(axes, 5, 0))
    if drawn is not None:
        assert len(drawn) == min(5, size(axes)) == len({json.dumps(setting) for setting in drawn})
        for setting in drawn:
            tried(lambda setting=setting: SteeringArguments.take_from({"vectors": "mine"} | setting))
    settings = tried(lambda: cells(axes)) if not 500 < size(axes) <= 10_000 else None  # those would take a while
    assert settings is None or len(settings) == size(axes)
