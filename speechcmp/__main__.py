"""``python -m speechcmp``."""

from speechcmp.cli.main import main

if __name__ == "__main__":
    main()
