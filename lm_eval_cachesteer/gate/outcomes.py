"""What a gate found: an outcome for each check, and one for all."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..results.runs import Run

Outcome = Literal["pass", "fail", "inconclusive"]

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 2}

COLUMNS = ("check", "baseline", "candidate", "difference", "95 % interval", "outcome", "remark")


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        subject: The task, or "runs" for what concerns the runs as a whole.
        check: What was asked for: "stepwise, not worse by 0.1".
        outcome: Whether it holds; "inconclusive" if the run is too small to tell.
        remark: Why not, or what a reader has to know.
        baseline: The baseline's figure, if it has one.
        candidate: The candidate's figure.
        difference: `candidate - baseline` over the documents compared; None if the runs are not compared.
        low: Lower end of the 95 % interval: of the difference, or of the candidate's figure for a confident limit.
        high: Its upper end.
        documents: Documents the interval comes from.
        needed: If inconclusive, how many documents would do; None if their number is not what is missing.
    """

    subject: str
    check: str
    outcome: Outcome
    remark: str = ""
    baseline: float | None = None
    candidate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    documents: int | None = None
    needed: int | None = None

    def cells(self) -> list[str]:
        """The result as texts, one for each of `COLUMNS`."""
        interval = ""
        if self.low is not None and self.high is not None and math.isfinite(self.low + self.high):
            sign = "" if self.difference is None else "+"
            interval = f"{self.low:{sign}.4g} to {self.high:{sign}.4g}"
        return [
            f"{self.subject}: {self.check}",
            "" if self.baseline is None else f"{self.baseline:.4g}",
            "" if self.candidate is None else f"{self.candidate:.4g}",
            "" if self.difference is None else f"{self.difference:+.4g}",
            interval,
            self.outcome,
            self.remark,
        ]


@dataclass(frozen=True)
class Decision:
    """What a gate found about two runs.

    Attributes:
        baseline: The run compared with.
        candidate: The run judged.
        results: One entry for each check.
    """

    baseline: Run
    candidate: Run
    results: tuple[Result, ...]

    @property
    def outcome(self) -> Outcome:
        """Fail if any check fails; else inconclusive if any is; else pass."""
        found = {result.outcome for result in self.results}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive."""
        return EXIT_CODES[self.outcome]

    @property
    def headline(self) -> str:
        """The decision in one line: "fail: 3 pass, 1 fail, 1 inconclusive"."""
        count = Counter(result.outcome for result in self.results)
        parts = [f"{count['pass']} pass"]
        if count["fail"]:
            parts.append(f"{count['fail']} fail")
        if count["inconclusive"]:
            parts.append(f"{count['inconclusive']} inconclusive")
        return f"{self.outcome}: {', '.join(parts)}"

    def described(self) -> dict[str, Any]:
        """All of it as plain data, for JSON; figures that are not finite become None."""
        results = [
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(result).items()}
            for result in self.results
        ]
        return {
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "baseline": str(self.baseline.path),
            "candidate": str(self.candidate.path),
            "results": results,
        }
