"""The commands of `python -m supcon_tf`, and the code that they share with scripts.

This is the only package of the library that parses arguments or prints.
"""
