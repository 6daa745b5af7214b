"""Print the reference table of the settings."""

import sys

from drainer.config.settings import table

if __name__ == "__main__":
    sys.stdout.write(table())
