"""The command line: arguments in, one use case, a result out. It only translates."""
