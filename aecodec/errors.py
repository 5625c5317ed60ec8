"""Every error the library raises on purpose, named by what the caller should do.

AecodecError
├── UsageError(ValueError)            change the call
│   ├── AxesError                     name the axes
│   ├── FidelityError                 ask for one fidelity that the data can have
│   └── DtypeError(TypeError)         convert the array first
├── FormatError                       the bytes are not, or no longer, what FORMAT.md describes
│   ├── NotAecodecError               the input is something else
│   ├── VersionError                  upgrade aecodec
│   ├── TruncatedError                the end is missing
│   ├── ChecksumError                 the bytes were damaged
│   └── MissingError                  read the rest with on_error="skip", or save it with `aecodec recover`
├── LimitError                        raise the limit, if the input is trusted
├── ModelError                        supply the right model
│   └── DriftError                    decode where the file was encoded, or use an exact model
├── LockedError                       wait for the other writer, or write elsewhere
├── OutputExistsError(FileExistsError)  choose another name, or overwrite on purpose
└── MissingExtraError(ImportError)    install the extra that the message names

MissingWarning(UserWarning)           says what a reader with on_error="skip" left out
"""


class AecodecError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(AecodecError, ValueError):
    """The call itself is wrong."""


class AxesError(UsageError):
    """The axes are unknown, ambiguous or do not fit the array."""


class FidelityError(UsageError):
    """No such fidelity, two at once, or one that the data cannot have."""


class DtypeError(UsageError, TypeError):
    """The dtype cannot be stored."""


class FormatError(AecodecError):
    """The bytes do not follow FORMAT.md."""


class NotAecodecError(FormatError):
    """The input does not begin with the magic of this format."""


class VersionError(FormatError):
    """The file was written by a newer format version."""


class TruncatedError(FormatError):
    """The input ends before its declared end."""


class ChecksumError(FormatError):
    """A checksum does not match: the bytes were damaged."""


class MissingError(FormatError):
    """Steps from `start` to `stop` of the stream axis are damaged (chunk number `chunk`) or missing (`chunk` is None)."""

    def __init__(self, message: str, start: int = 0, stop: int = 0, chunk: int | None = None) -> None:
        super().__init__(message)
        self.start, self.stop, self.chunk = start, stop, chunk


class MissingWarning(UserWarning):
    """Steps were damaged or missing and were left out, as was asked for."""


class LimitError(AecodecError):
    """A declared size is beyond what the caller allows."""


class ModelError(AecodecError):
    """A model is missing, malformed, or does not fit the data."""


class DriftError(ModelError):
    """An inexact model decoded to other bits than it did when the file was written."""


class LockedError(AecodecError):
    """The file is being written by another writer."""


class OutputExistsError(AecodecError, FileExistsError):
    """The output exists and overwriting was not asked for."""


class MissingExtraError(AecodecError, ImportError):
    """An optional dependency is not installed."""


def require_extra(module: str, extra: str, purpose: str) -> MissingExtraError:
    """The error to raise when `module` of `extra` cannot be imported."""
    return MissingExtraError(f"{purpose} needs {module}, which is not installed: pip install 'aecodec[{extra}]'")
