"""Decides. No I/O, no clock, no print: facts go in, values come out."""
