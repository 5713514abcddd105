"""What a candidate must keep to, as policy.yaml says it. Reference: docs/gate.md."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal, cast

import yaml

from ..errors import ArgumentError
from .agreement import ASPECTS

Rule = Literal["not_worse_by", "better_by", "at_least", "at_most"]
Direction = Literal["higher", "lower"]

MARGINS: tuple[Rule, ...] = ("not_worse_by", "better_by")
LIMITS: tuple[Rule, ...] = ("at_least", "at_most")

_POLICY_KEYS = ("same", "checks", "allow_unmatched")
_CHECK_KEYS = ("task", "metric", "filter", *MARGINS, *LIMITS, "direction", "cluster_by", "confident")
# Nothing that is measured is larger; sums and squares of what is must be finite.
_LARGEST = 1e100
# A few lines of YAML whose aliases name each other stand for more than memory holds: only a bit of it is written out.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3


@dataclass(frozen=True)
class Check:
    """One check of one metric.

    Attributes:
        metric: The metric.
        rule: How the limit is meant: a margin between the runs, or a limit of the candidate's own figure.
        limit: The margin or the limit, in the metric's unit.
        task: The task; "" for every task that has the metric.
        filter: The harness's filter; "" for the only one there is.
        direction: Which figures are better; None for what the harness says.
        cluster_by: A field of the documents; those that agree in it are one cluster. "" for none.
        confident: Whether a limit must hold for the whole 95 % interval of the candidate's figure.
    """

    metric: str
    rule: Rule
    limit: float
    task: str = ""
    filter: str = ""
    direction: Direction | None = None
    cluster_by: str = ""
    confident: bool = False

    @property
    def is_margin(self) -> bool:
        """Whether the runs are compared; else only the candidate is looked at."""
        return self.rule in MARGINS

    def label(self, filter_name: str) -> str:
        """The check in words: "exact_match (strict), not worse by 0.02"."""
        metric = self.metric if filter_name == "none" else f"{self.metric} ({filter_name})"
        return f"{metric}, {self.rule.replace('_', ' ')} {self.limit:g}" + (", confident" if self.confident else "")


@dataclass(frozen=True)
class Policy:
    """All that a candidate must keep to.

    Attributes:
        same: What the runs must agree in, names of `ASPECTS`.
        checks: The checks of metrics.
        allow_unmatched: Whether documents that only one run has are left out instead of refused.
    """

    same: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    allow_unmatched: bool = False


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, except that a repeated key is an error: the first of two would be lost in silence."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # as of "2001-99-99", "!!float x"
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"that is no {kind}", node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):  # as "!!map text" makes one
            raise yaml.constructor.ConstructorError(None, None, "a mapping was expected", node.start_mark)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return cast("dict[Hashable, Any]", super().construct_mapping(node, deep=deep))


def read_policy(path: Path) -> Policy:
    """Reads and checks a policy.

    Args:
        path: The YAML file.

    Raises:
        ArgumentError: It cannot be read, or says something that is not known, malformed or out of range.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - it is a safe loader
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"The policy {path} cannot be read ({error}). Give a YAML file, see docs/gate.md."
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ArgumentError(f"The policy {path} is not valid YAML: {' '.join(str(error).split())}.") from None
    entries = _mapping(str(path), content, _POLICY_KEYS)
    same = tuple(_aspect(f"{path}, same", name) for name in _list(f"{path}, same", entries.get("same", [])))
    listed = _list(f"{path}, checks", entries.get("checks", []))
    checks = tuple(_check(f"{path}, check {number}", entry) for number, entry in enumerate(listed, start=1))
    if not same and not checks:
        raise ArgumentError(f"The policy {path} checks nothing. Add `checks:` or `same:`, see docs/gate.md.")
    return Policy(same, checks, _flag(str(path), entries, "allow_unmatched"))


def _check(where: str, entry: Any) -> Check:
    found = _mapping(where, entry, _CHECK_KEYS)
    rules = [rule for rule in (*MARGINS, *LIMITS) if rule in found]
    if "metric" not in found or len(rules) != 1:
        raise ArgumentError(
            f"{where} needs `metric` and exactly one of {', '.join((*MARGINS, *LIMITS))}; it has "
            f"{', '.join(map(str, found)) or 'nothing'}."
        )
    check = Check(
        metric=_text(where, found, "metric"),
        rule=rules[0],
        limit=_number(where, found, rules[0]),
        task=_text(where, found, "task"),
        filter=_text(where, found, "filter"),
        direction=_direction(where, found),
        cluster_by=_text(where, found, "cluster_by"),
        confident=_flag(where, found, "confident"),
    )
    if check.rule == "not_worse_by" and check.limit <= 0:
        raise ArgumentError(
            f"{where}: not_worse_by must be above 0, got {check.limit:g}: no finite run shows that nothing was lost. "
            "`better_by: 0` asks for an improvement."
        )
    if check.rule == "better_by" and check.limit < 0:
        raise ArgumentError(f"{where}: better_by must be at least 0, got {check.limit:g}. Use not_worse_by.")
    misplaced = ("confident",) if check.is_margin else ("direction", "cluster_by")
    for key in misplaced:
        if key in found:
            others = LIMITS if check.is_margin else MARGINS
            raise ArgumentError(f"{where}: {key} goes with {' or '.join(others)}, not with {check.rule}. Remove it.")
    return check


def _mapping(where: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ArgumentError(f"{where}: a mapping with the keys {', '.join(known)} was expected, got {_shown(value)}.")
    for key in value:
        if key not in known:
            raise ArgumentError(f"{where}: unknown key {_nearest(key, known)}. Known: {', '.join(known)}.")
    return value


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ArgumentError(f"{where}: a list was expected, got {_shown(value)}.")
    return value


def _aspect(where: str, name: Any) -> str:
    if not isinstance(name, str) or name not in ASPECTS:
        raise ArgumentError(f"{where}: unknown entry {_nearest(name, ASPECTS)}. Known: {', '.join(ASPECTS)}.")
    return str(name)


def _text(where: str, entry: dict[str, Any], key: str) -> str:
    if key not in entry:
        return ""
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{where}: {key} must be a name, got {_shown(value)}. Leave it out, or put it in quotes.")
    return value


def _number(where: str, entry: dict[str, Any], key: str) -> float:
    value = entry[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not -_LARGEST < value < _LARGEST:
        raise ArgumentError(f"{where}: {key} must be a finite number such as 0.02, got {_shown(value)}.")
    return float(value)


def _flag(where: str, entry: dict[str, Any], key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise ArgumentError(f"{where}: {key} must be true or false, got {_shown(value)}.")
    return value


def _direction(where: str, entry: dict[str, Any]) -> Direction | None:
    value = entry.get("direction")
    if "direction" in entry and value not in ("higher", "lower"):
        raise ArgumentError(
            f"{where}: direction must be higher or lower (which figures are better), got {_shown(value)}."
        )
    return cast("Direction | None", value)


def _nearest(name: Any, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return _shown(name) + (f" (did you mean {close[0]!r}?)" if close else "")


def _shown(value: Any) -> str:
    text = _SHORT.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
