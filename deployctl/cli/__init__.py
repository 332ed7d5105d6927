"""The command line: words in, one use case, an answer out. It only translates."""
