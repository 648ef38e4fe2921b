"""Every error that Triscope raises on purpose.

    TriscopeError                    exit code 3: could not be done
    ├── UsageError                   exit code 2: wrong use
    │   ├── UnknownModel             no model of that name (with a suggestion)
    │   ├── BadSettings              a setting out of its range, or not a setting at all
    │   └── BadPrompt                a prompt that does not fit its image
    ├── DataError                    the data cannot be used as asked
    │   ├── EmptyData                nothing usable was found
    │   ├── UnreadableImage          one file that cannot be decoded
    │   ├── BadLabels                labels, boxes or masks that contradict the image or each other
    │   └── LeakedData               images that must stay apart were about to be mixed
    ├── NotFitted                    an answer was asked of a model that has learned nothing
    ├── PromiseTooLow                fewer good parts than the promise needs
    ├── TrainingError                the training cannot go on (a loss that is not finite)
    ├── RegressionFailed             a new version misses defects that must stay caught
    ├── CheckError                   a check folder that cannot be trusted
    │   ├── CheckDamaged             hash or golden answer differs
    │   └── CheckTooNew              written by a newer Triscope
    ├── WeightsError                 weights of others
    │   ├── WeightsMissing           the file is not there
    │   └── WeightsMismatch          keys or shapes differ from the model's
    └── MissingExtra                 an optional install is needed

A message says what was given, what was expected and what to do next.
"""

from __future__ import annotations


class TriscopeError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 3


class UsageError(TriscopeError):
    """Wrong use: a name, a setting or an argument that cannot be meant."""

    exit_code = 2


class UnknownModel(UsageError):
    """No model of that name."""


class BadSettings(UsageError):
    """A setting out of its range, of the wrong type, or unknown."""


class BadPrompt(UsageError):
    """A point, box or mask prompt that does not fit its image."""


class DataError(TriscopeError):
    """The data cannot be used as asked."""


class EmptyData(DataError):
    """Nothing usable was found."""


class UnreadableImage(DataError):
    """One image that cannot be decoded; the rest of a batch goes on."""


class BadLabels(DataError):
    """Labels, boxes or masks that contradict the image or each other."""


class LeakedData(DataError):
    """Images that must stay apart (fit, calibrate, test) were about to be mixed."""


class NotFitted(TriscopeError):
    """An answer was asked of a model that has learned nothing yet."""


class PromiseTooLow(TriscopeError):
    """Fewer good parts than the promise needs."""


class TrainingError(TriscopeError):
    """The training cannot go on."""


class RegressionFailed(TriscopeError):
    """A new version misses defects that must stay caught; the old one stays in force."""


class CheckError(TriscopeError):
    """A check folder that cannot be trusted or read."""


class CheckDamaged(CheckError):
    """A file of the check differs from what its card says."""


class CheckTooNew(CheckError):
    """The check was written in a newer format than this version reads."""


class WeightsError(TriscopeError):
    """Weights of others cannot be used."""


class WeightsMissing(WeightsError):
    """The weights file is not where it was looked for."""


class WeightsMismatch(WeightsError):
    """Keys or shapes of the weights differ from the model's."""


class MissingExtra(TriscopeError):
    """An optional install is needed for this."""


def needs_extra(what: str, extra: str, module: str) -> MissingExtra:
    """The one message for a package that is not installed."""
    return MissingExtra(
        f"{what} needs the package {module!r}, which is not installed. "
        f'Install it with: pip install "triscope[{extra}]"'
    )
