"""HAProxy as a home runs it: what the public address, the tally and the handling of cookies cost."""
