"""Which contrast pairs an activation vector is made from: those of the steering vectors, or of another set."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.contrast import ContrastSet
from ..core.metadata import VectorMetadata
from ..core.prompts import PromptSettings, TokenPair, build_pairs
from ..errors import ContrastError
from ..sources.resolve import resolve_contrast_set

_REMEDY = "Name a set with --contrast, or leave activation steering out with --no-activation."


@dataclass(frozen=True)
class Source:
    """Where pairs come from.

    Attributes:
        contrast: The contrast set, or the items of it that are used.
        against: The set its negative prompts show; None for answers alone.
        settings: How prompts are built.
        count: How many pairs are used; None for all.
    """

    contrast: ContrastSet
    against: ContrastSet | None = None
    settings: PromptSettings = field(default_factory=PromptSettings)
    count: int | None = None

    @classmethod
    def of(cls, metadata: VectorMetadata, contrast: str | None = None) -> "Source":
        """The pairs that vectors come from, or those of another set.

        Args:
            metadata: The vectors'.
            contrast: A file or a shipped name; None for the set of the vectors.

        Raises:
            ContrastError: A set is not there, or no longer the one that the vectors were made from.
        """
        found = _found(contrast or metadata.contrast_set, metadata.contrast_sha256 if contrast is None else "")
        if contrast is not None and found.sha256 != metadata.contrast_sha256:
            return cls(found)
        kind, _, seed = metadata.fewshot_selection.partition(":")
        return cls(
            found.only(metadata.contrast_items),
            _found(metadata.against_set, metadata.against_sha256) if metadata.against_set else None,
            PromptSettings(
                fewshot=metadata.fewshot_count,
                selection="similar" if kind == "similar" else "random",
                seed=int(seed or 0),
                chat=bool(metadata.chat_template_sha256),
            ),
            metadata.pair_count or None,
        )

    def pairs(self, tokenizer: Any) -> list[TokenPair]:
        """The pairs as tokens."""
        return build_pairs(self.contrast, tokenizer, self.settings, self.against)[: self.count]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides them, as plain data."""
        return {
            "contrast": self.contrast.sha256,
            "items": [item.id for item in self.contrast.items],
            "against": self.against.sha256 if self.against else None,
            "settings": asdict(self.settings),
            "count": self.count,
        }


def _found(name: str, sha256: str) -> ContrastSet:
    """A set, with the content it is known by."""
    try:
        found = resolve_contrast_set(name)
    except ContrastError as error:
        raise ContrastError(f"{error} {_REMEDY}") from None
    if sha256 and found.sha256 != sha256:
        raise ContrastError(
            f"The contrast set {name!r} is no longer the one that the vectors were made from: its SHA-256 is "
            f"{found.sha256[:12]}, they record {sha256[:12]}. {_REMEDY}"
        )
    return found
