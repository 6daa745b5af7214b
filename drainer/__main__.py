"""Run drainer as `python -m drainer`."""

from drainer.cli import main

if __name__ == "__main__":
    main()
