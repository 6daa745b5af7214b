"""What stands in for runc while a resume is under way. Standard library only."""
