"""Start-up hook: tells lm_eval about the model and the tasks of lm_eval_cachesteer.

Python runs this module at start-up through ``cachesteer.pth``. It only places one finder on ``sys.meta_path``:
neither lm_eval nor torch nor lm_eval_cachesteer is imported until a program imports lm_eval itself.
Set ``CACHESTEER_NO_HOOK=1`` to switch it off; ``pip uninstall lm-eval-cachesteer`` removes it.
"""

import os
import sys

# Module of lm_eval -> function of lm_eval_cachesteer.harness.registration called once that module is imported.
_REGISTRATIONS = {
    "lm_eval.filters": "register_filters",
    "lm_eval.models": "register_model",
    "lm_eval.tasks": "register_tasks",
}


class _RegisteringLoader:
    """Runs the real loader, then the registration; hands the module back to the real loader."""

    def __init__(self, loader, registration):
        self._loader = loader
        self._registration = registration

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            from lm_eval_cachesteer.harness import registration

            getattr(registration, self._registration)()
        except Exception as error:  # noqa: BLE001 - lm_eval stays usable if this package is broken; the reason is shown
            import warnings

            warnings.warn(
                f"lm_eval_cachesteer could not register itself with lm_eval ({type(error).__name__}: {error}); "
                "reinstall lm-eval-cachesteer, or set CACHESTEER_NO_HOOK=1 to silence this.",
                RuntimeWarning,
                stacklevel=2,
            )


class _LmEvalFinder:
    """Finds nothing itself: wraps what the other finders find for some modules of lm_eval."""

    def find_spec(self, name, path=None, target=None):
        registration = _REGISTRATIONS.get(name)
        if registration is None:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _RegisteringLoader(spec.loader, registration)
                return spec
        return None


if not os.environ.get("CACHESTEER_NO_HOOK"):
    sys.meta_path.insert(0, _LmEvalFinder())
