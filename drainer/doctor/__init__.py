"""What this host can do and why not: facts, checks on them, and a trial of each route."""
