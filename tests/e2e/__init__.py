"""The promises of a release, kept as a person meets them: the program itself, real containers, real visitors."""
