"""`python -m aecodec`: the command, without its script."""

from aecodec.cli import main

if __name__ == "__main__":
    main()
