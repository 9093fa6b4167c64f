"""``python -m speechcmp``."""

from speechcmp.cli import main

if __name__ == "__main__":
    main()
