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
    """Base of all errors below: catch this one to catch them all.

    Examples
    --------
    >>> import speechcmp
    >>> try:
    ...     speechcmp.load_recording("gone.wav")
    ... except speechcmp.SpeechcmpError as error:
    ...     print(error)
    gone.wav: no such file; check the path
    """


class ParameterError(SpeechcmpError, ValueError):
    """An argument is out of range, of the wrong shape or of the wrong kind.

    Examples
    --------
    >>> import speechcmp
    >>> try:
    ...     speechcmp.find_recipe("plain")
    ... except ValueError as error:
    ...     print(type(error).__name__, error)
    ParameterError recipe: 'plain' is unknown; choose one of phones, classic, mfcc
    """


class AudioError(SpeechcmpError):
    """A recording is missing, unreadable, empty, silent, truncated or no audio at all.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> try:
    ...     speechcmp.normalize(speechcmp.Recording.from_array(np.zeros(16_000), 16_000, name="nothing"))
    ... except speechcmp.AudioError as error:
    ...     print(error)
    nothing: silent (peak -inf dBFS); record again or check the microphone
    """


class DependencyError(SpeechcmpError, ImportError):
    """A program or package needed for this is not installed."""


class StoreError(SpeechcmpError):
    """The fingerprint store can't do what was asked.

    Examples
    --------
    >>> import tempfile
    >>> import speechcmp
    >>> with tempfile.TemporaryDirectory() as folder, speechcmp.open_store(f"sqlite:///{folder}/a.db") as store:
    ...     store.create()
    ...     try:
    ...         store.remove(7)
    ...     except speechcmp.StoreError as error:
    ...         print(str(error).partition(": ")[2])
    no recording 7, nothing was removed; for ids run: speechcmp library list
    """


class StoreUnavailableError(StoreError):
    """The store can't be reached, or was lost and did not come back."""


class ParameterMismatchError(StoreError):
    """The store holds fingerprints made with other parameters."""
