"""One HTML file about many runs: from result folders to the page."""
