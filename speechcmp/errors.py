"""Every error the package raises.

::

    SpeechcmpError
    ├── ParameterError          (also ValueError)   an argument can't be right
    ├── AudioError                                  a recording can't be used
    ├── DependencyError         (also ImportError)  something is not installed
    └── StoreError                                  the fingerprint store
        ├── StoreUnavailableError                   can't be reached
        └── ParameterMismatchError                  was filled with other parameters

A message reads *what: what is wrong, the value given; what to do*, on one line.
"""


class SpeechcmpError(Exception):
    """Base of all errors below: catch this one to catch them all."""


class ParameterError(SpeechcmpError, ValueError):
    """An argument is out of range, of the wrong shape or of the wrong kind."""


class AudioError(SpeechcmpError):
    """A recording is missing, unreadable, empty, silent, truncated or no audio at all."""


class DependencyError(SpeechcmpError, ImportError):
    """A program or package needed for this is not installed."""


class StoreError(SpeechcmpError):
    """The fingerprint store can't do what was asked."""


class StoreUnavailableError(StoreError):
    """The store can't be reached, or was lost and did not come back."""


class ParameterMismatchError(StoreError):
    """The store holds fingerprints made with other parameters."""
