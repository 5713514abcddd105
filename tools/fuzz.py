"""Puts new random cases to every input of text or bytes (nightly; the tests put 2,000 that stay the same).

Run it with `make fuzz`, or for a while on one input: `python tools/fuzz.py --target "vector files" --cases 10000`.

Needs hypothesis (extra `dev`). Ends with 1 if a case fails, and prints the smallest that does.
"""

import argparse
import random
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.hostile.fuzzing import TARGETS, Target, fuzz


def main() -> None:
    """Fuzzes what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="cases of all targets together (%(default)s)")
    parser.add_argument("--target", action="append", choices=[target.name for target in TARGETS], help="repeatable")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run; by default a new one, which is shown")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    chosen = [target for target in TARGETS if not options.target or target.name in options.target]
    shares = sum(target.share for target in chosen)
    print(f"seed {seed}")
    failed = [target.name for target in chosen if not _holds(target, -(-options.cases * target.share // shares), seed)]
    print(f"failed: {', '.join(failed)}" if failed else "no case failed")
    sys.exit(bool(failed))


def _holds(target: Target, count: int, seed: int) -> bool:
    """Whether a target's property holds for as many cases; if not, says for which it does not."""
    last: list[Any] = [None]
    with tempfile.TemporaryDirectory() as folder, tqdm(total=count, desc=f"{target.name:20}", unit="case") as bar:

        def told(case: Any) -> None:
            last[0] = case
            bar.update()

        try:
            fuzz(target, count, Path(folder), seed=seed, on_case=told)
        except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
            reason = traceback.format_exc()
        else:
            return True
    print(f"\n{target.name}: the property does not hold for\n\n{last[0]!r}\n\n{reason}")
    return False


if __name__ == "__main__":
    main()
