"""Was the steering done that a run was set up for?"""

from ..results.runs import Run
from .outcomes import Result


def judge_steering(role: str, run: Run) -> Result | None:
    """Fails where a run of hf-cachesteer with vectors left prompts unsteered, or steered none.

    Args:
        role: "baseline" or "candidate".
        run: The run.

    Returns:
        None where there is nothing to check: without vectors, and for other backends, which do not count.
    """
    steering = run.steering
    if not steering.get("vectors"):
        return None
    counts = {kind: count for kind, count in (steering.get("counts") or {}).items() if count.get("requests")}
    if not steering.get("steer_loglikelihood", True):
        counts = {kind: count for kind, count in counts.items() if not kind.startswith("loglikelihood")}
    problems = []
    for kind, count in counts.items():
        if count.get("not_steered"):
            problems.append(f"{count['not_steered']} {kind} prompts could not be steered: too short for the position")
        elif not count.get("interventions"):
            problems.append(f"none of {count['requests']} {kind} requests was steered: are all coefficients 0?")
    if not counts:
        problems.append("no request that should be steered reached the model; run without --use_cache")
    steered = sum(count.get("interventions", 0) for count in counts.values())
    remark = "; ".join(problems) or f"{steered} prompts were steered"
    return Result("runs", f"{role} steered", "fail" if problems else "pass", remark)
