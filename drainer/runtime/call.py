"""`call.py DIRECTORY RUNC ARGUMENT...`: hand a call that was meant for runc to the agent.

The interpreter compiles a program anew at each call, and a module only once.
"""

import os
import sys

if __name__ == "__main__":
    # Of drainer only what is standard library alone is taken from there.
    here = os.path.abspath(__file__)
    sys.path.append(here.rsplit("/", 3)[0])
    from drainer.runtime import agent

    sys.exit(agent.main(sys.argv[1:]))
