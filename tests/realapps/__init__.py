"""Applications that nobody here wrote, in their real versions, deployed as a person would."""
