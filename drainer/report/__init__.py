"""What a drain and its resume made of each container: the numbers, and how they are shown."""
