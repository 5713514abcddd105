"""Policies of the gate."""

import json
import math
from pathlib import Path

from hypothesis import strategies as st

from lm_eval_cachesteer.gate.agreement import ASPECTS
from lm_eval_cachesteer.gate.policy import read_policy

from ..cases import EDITS, JSON_VALUES, changes_of, edited, replaced, texts_of
from ..property import tried

_POLICY = {
    "same": ["model", "steering"],
    "allow_unmatched": True,
    "checks": [
        {"task": "t", "metric": "acc", "filter": "none", "not_worse_by": 0.02, "direction": "higher"},
        {"metric": "acc", "better_by": 0, "cluster_by": "x"},
        {"metric": "acc", "at_least": 0.9, "confident": True},
        {"metric": "words", "at_most": 120},
    ],
}
_BARE = json.dumps(_POLICY).replace('"', "")
_TOKENS = (
    *("same:", "checks:", "metric: acc", "at_least: ", "not_worse_by: ", "better_by: 0", "- ", "  ", "\n", ": ", ", "),
    *("? ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "|", ">", "---", "...", "#", "%YAML 9.9\n", "!!map ", "!!int x"),
    *("!!seq ", "!!timestamp ", "2001-99-99", "0x", "0b2", "1:99:99", ".inf", ".nan", "1_0", "!!binary ", "!!set "),
    *("!!omap ", "!!float ", "~", "yes", "\t", "\x85", "\ufeff", "*b", "&b [*a, *a, *a]", "model", "!!pairs "),
    "!!python/object/apply:os.mkdir [x]",
)
_BYTES = [token.encode() for token in _TOKENS]

CASES = (
    changes_of(JSON_VALUES).map(lambda changes: json.dumps(replaced(_POLICY, changes)).encode())
    | changes_of(JSON_VALUES).map(lambda changes: json.dumps(replaced(_POLICY, changes), indent=1).encode())
    | texts_of(_TOKENS, 20).map(lambda text: text.encode(errors="surrogatepass"))
    | EDITS.map(lambda edits: edited(_BARE.encode(), edits, _BYTES))
    | st.tuples(EDITS, st.integers(1, 9)).map(lambda pair: _nested(*pair))
)


def _nested(edits: list[tuple[str, int, int]], depth: int) -> bytes:
    """Aliases of aliases: a line more is ten times as much."""
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth))]
    lines += [f"checks: *a{depth - 1}"]
    return edited("\n".join(lines).encode(), edits, _BYTES) if edits[0][2] % 2 else "\n".join(lines).encode()


def check(content: bytes, folder: Path) -> None:
    """Policies that are read ask for something that a gate can check."""
    path = folder / "policy.yaml"
    path.write_bytes(content)
    policy = tried(lambda: read_policy(path))
    if policy is None:
        return
    assert policy.checks or policy.same
    assert set(policy.same) <= set(ASPECTS)
    assert type(policy.allow_unmatched) is bool
    for one in policy.checks:
        assert one.metric
        assert all(isinstance(text, str) for text in (one.metric, one.task, one.filter, one.cluster_by))
        assert math.isfinite(one.limit)
        assert one.limit > 0 or one.rule != "not_worse_by"
        assert one.limit >= 0 or one.rule != "better_by"
        assert one.direction in (None, "higher", "lower")
        assert one.label("none")
