"""Adding vectors to cached states: summed in float32, cast once, in all places or, where that fails, in none."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SteeringError, VectorMismatchError


@dataclass(frozen=True)
class Place:
    """One token of each of some rows, in the cached keys and values of a layer.

    Attributes:
        keys: (batch, n_kv_heads, slots, head_dim), the cache's own storage.
        values: (batch, n_kv_heads, slots, head_dim of the values), the cache's own storage.
        rows: (edited,) int64.
        slots: (edited,) int64, the token of each of these rows.
    """

    keys: Tensor
    values: Tensor
    rows: Tensor
    slots: Tensor


class Addition:
    """Cached states of some tokens and the same with a vector added, not yet written.

    Args:
        what: Names the states in messages, such as "keys of layer 3".
        states: The keys or values of a place.
        place: Which tokens.
        delta: (n_kv_heads, head_dim), float32.

    Raises:
        VectorMismatchError: The shapes do not fit.
    """

    def __init__(self, what: str, states: Tensor, place: Place, delta: Tensor) -> None:
        if states.shape[1] != delta.shape[0] or states.shape[3] != delta.shape[1]:
            raise VectorMismatchError(
                f"The {what} have {states.shape[1]} KV heads of width {states.shape[3]} in the cache, but "
                f"{delta.shape[0]} heads of width {delta.shape[1]} in the vectors. Use vectors extracted from this "
                "model."
            )
        self.what, self.states, self.place, self.delta = what, states, place, delta
        with torch.no_grad():
            self.before = states[place.rows, :, place.slots]
            wide = self.before.to(torch.promote_types(states.dtype, torch.float32))
            self.after = (wide + delta.to(states.device)).to(states.dtype)

    @property
    def dtype(self) -> str:
        """Name of the states' dtype."""
        return str(self.states.dtype).removeprefix("torch.")

    def is_finite(self) -> Tensor:
        """Whether all sums are finite, as a tensor."""
        return torch.isfinite(self.after).all()

    def changed(self) -> Tensor:
        """(edited,) bool: rows in which a bit changes."""
        return (self.after != self.before).flatten(1).any(dim=1)

    def write(self) -> None:
        """Puts the sums into the cache."""
        with torch.inference_mode(self.states.is_inference()), torch.no_grad():
            self.states[self.place.rows, :, self.place.slots] = self.after

    def why_not_finite(self, strength: str) -> str:
        """A message for sums that are not."""
        if not torch.isfinite(self.before).all():
            return (
                f"The {self.what} hold NaN or infinity before anything is added: the model itself overflows "
                f"{self.dtype}. Use dtype=bfloat16 or dtype=float32."
            )
        wider = ", or dtype=bfloat16 or dtype=float32" if self.dtype == "float16" else ""
        return (
            f"With {strength} the edited {self.what} overflow {self.dtype}, whose largest number is "
            f"{torch.finfo(self.states.dtype).max:.5g}. Use smaller coefficients{wider}."
        )


def add_all(additions: Sequence[Addition], strength: str) -> None:
    """Makes additions to the same rows; one transfer from the device tells whether all of them can be made.

    Args:
        additions: At least one.
        strength: Names the coefficients in messages.

    Raises:
        SteeringError: A sum overflows the states' dtype, or a row would keep every bit in all of its states.
    """
    device = additions[0].states.device
    finite = torch.stack([addition.is_finite().to(device) for addition in additions])
    changed = torch.stack([addition.changed().to(device) for addition in additions]).any(dim=0)
    if not torch.cat([finite, changed]).all():
        raise SteeringError(_why_not(additions, strength, finite.tolist(), changed.tolist()))
    for addition in additions:
        addition.write()


def _why_not(additions: Sequence[Addition], strength: str, finite: list[bool], changed: list[bool]) -> str:
    for addition, is_finite in zip(additions, finite, strict=True):
        if not is_finite:
            return addition.why_not_finite(strength)
    largest = max(float(addition.delta.abs().max()) for addition in additions)
    dtypes = " and ".join(sorted({addition.dtype for addition in additions}))
    wider = "" if dtypes == "float32" else ", or dtype=float32"
    return (
        f"With {strength} the edit is lost to rounding: {changed.count(False)} of {len(changed)} prompts keep every "
        f"bit of their {dtypes} cache, as no number added is larger than {largest:.2g}. Use larger "
        f"coefficients{wider}."
    )
