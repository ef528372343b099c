"""Every way in: HTTP, the command line and the page."""
