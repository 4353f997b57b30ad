"""Pages for people who come with a browser, at the addresses where tools get the simple pages; needs the extra ``pages``."""
