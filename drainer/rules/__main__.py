"""Print the reference page of the rules."""

import sys

from drainer.rules.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
