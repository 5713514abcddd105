"""A gate for continuous integration: does a candidate run keep to a policy? Reads files only, as `results` does."""
