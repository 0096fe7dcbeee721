"""Numba kernels: all compiled code, serial, without the interpreter lock, by ranges of centres."""
