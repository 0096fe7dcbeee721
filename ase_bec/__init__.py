"""Ionic solids in an electric field, with ASE."""
