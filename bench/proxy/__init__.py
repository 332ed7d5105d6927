"""HAProxy as a home runs it: what the stable address, the tally and the handling of cookies cost."""
