"""The paper's comparison in one command: its ways of asking as runs of the harness, and what is kept of them."""
