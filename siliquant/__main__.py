"""``python -m siliquant COMMAND``."""

from .main import main

if __name__ == "__main__":
    main()
