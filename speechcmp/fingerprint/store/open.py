"""From a database URL to the store behind it."""

from speechcmp.checks import checked
from speechcmp.errors import ParameterError
from speechcmp.fingerprint.store.base import Store


@checked
def open_store(url: str) -> Store:
    """Open a library of fingerprints.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or
        ``mysql://user:password@host:3306/database?option=value``; `speechcmp.fingerprint.store.mysql` tells the options
        and the other places a password can come from. Special characters are percent-encoded.

    Returns
    -------
    Store
        Not connected yet: the first call connects.

    Raises
    ------
    ParameterError
        The URL is of another kind, or has an unknown option.

    Examples
    --------
    >>> import tempfile
    >>> import speechcmp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with speechcmp.open_store(f"sqlite:///{folder}/lessons.db") as store:
    ...         store.create()
    ...         store.info().n_recordings
    0
    """
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite":
        from speechcmp.fingerprint.store.sqlite import SqliteStore  # noqa: PLC0415 - only the one that is used

        return SqliteStore.from_url(url)
    if scheme == "mysql":
        from speechcmp.fingerprint.store.mysql import MysqlStore  # noqa: PLC0415 - PyMySQL only for those who use it

        return MysqlStore.from_url(url)
    # Never the URL itself: it may hold a password.
    given = f"starts with {scheme[:20]!r}" if separator and scheme.isalpha() else "has no scheme"
    raise ParameterError(f"database URL: {given}; give sqlite:///FILE or mysql://user@host/database")
