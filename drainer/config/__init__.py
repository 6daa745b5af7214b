"""The files in which an operator says once what is to hold for every drain and resume."""
