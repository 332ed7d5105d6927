"""The decisions. No I/O, no clock, no output: facts go in, values come out."""
