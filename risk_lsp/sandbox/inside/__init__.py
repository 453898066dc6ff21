"""The part of the sandbox that lives inside it: a fork server for Python programs.

Only this folder is visible in there, as the package `inside`; it imports the standard library alone.
"""
