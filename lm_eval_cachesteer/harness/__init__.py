"""The glue to lm-evaluation-harness: registration, the model backend, what results record."""
