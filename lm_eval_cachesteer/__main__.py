"""`python -m lm_eval_cachesteer ...` is `lm_eval ...` with our model and tasks, without the start-up hook.

The subcommands of `cachesteer` (`python -m lm_eval_cachesteer vectors`) work as well.
"""

import sys


def main() -> None:
    """Runs lm_eval's command line, or ours if the first word is one of our subcommands."""
    from .cli import COMMANDS, told_in_one_line
    from .cli import main as cachesteer

    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        cachesteer()
        return
    with told_in_one_line():
        from lm_eval.__main__ import cli_evaluate

        from .harness.registration import register

        register()
        cli_evaluate()


if __name__ == "__main__":
    main()
