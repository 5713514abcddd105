"""Every error a user can cause. Each message names the value, what was expected, and the remedy."""


class CachesteerError(ValueError):
    """Base of all errors raised by lm_eval_cachesteer."""


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
