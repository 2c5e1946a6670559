"""The embedded local stack: a real Valkey and the three services as child processes.

Reads the user's environment and a data folder; writes only below that folder (and, where its path
is too long for a socket, in a private folder of the system's temporary directory). Linux and macOS.
"""
