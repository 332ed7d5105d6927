"""HAProxy as a home runs it: the cost of the public address, the request counts and the handling of cookies."""
