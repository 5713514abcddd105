"""Result folders of the harness, read and compared. Knows its files, not its code: runs of any backend will do."""
