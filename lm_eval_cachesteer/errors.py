"""Every error a user can cause. Each message names the value, what was expected, and the remedy."""

from .printable import one_line

# Of a longer message, which quotes something huge, the middle is left out.
_LONGEST = 6000


class CachesteerError(ValueError):
    """Base of all errors raised by lm_eval_cachesteer.

    Args:
        message: What happened. It may quote files and models: it is made one printable line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, _LONGEST))


class ArgumentError(CachesteerError):
    """A setting is unknown, malformed or out of range."""


class ContrastError(CachesteerError):
    """A contrast set cannot be read or does not form contrast pairs."""


class VectorFileError(CachesteerError):
    """A vector file is missing, corrupt, or of an unknown format version."""


class VectorMismatchError(CachesteerError):
    """Vectors do not fit the model they are used with."""


class CacheLayoutError(CachesteerError):
    """A key-value cache cannot be read or edited (encoder-decoder, quantized, recurrent)."""


class SteeringError(CachesteerError):
    """A request that should be steered cannot be."""


class EmbeddedModelError(CachesteerError):
    """The embedded model is not available and could not be prepared."""


class ResponseCacheError(CachesteerError):
    """A response cache file belongs to a run with other steering settings."""


class ResultsError(CachesteerError):
    """Results of runs cannot be read, or do not belong together."""


class StorageError(CachesteerError, OSError):
    """A file cannot be written: the disk is full, or the place is read-only. An OSError too, as from Python itself."""
