"""Things a reader can move on a page without a kernel: their data; what moves them is `book/_ext/touch`."""
