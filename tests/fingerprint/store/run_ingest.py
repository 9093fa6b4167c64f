"""Index a folder of made-up files in small transactions: the program that the tests kill."""

import os
import sys
from pathlib import Path

from fingerprint.store.making import fake_extract

from speechcmp.fingerprint import ingest as module
from speechcmp.fingerprint.store.open import open_store

if __name__ == "__main__":
    url, folder, n_jobs = sys.argv[1:]
    module._BATCH_HASHES = 4000
    paths = sorted(str(path) for path in Path(folder).iterdir())
    with open_store(url) as library:
        for row in module.ingest(paths, library, n_jobs=int(n_jobs), extract=fake_extract):
            os.write(1, os.fsencode(f"{row.path}\n"))
