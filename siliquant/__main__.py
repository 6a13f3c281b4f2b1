"""``python -m siliquant COMMAND``."""

from siliquant.main import main

if __name__ == "__main__":
    main()
