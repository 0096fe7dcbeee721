"""Numba kernels: all compiled code, serial, without the interpreter lock, over ranges of centres."""
