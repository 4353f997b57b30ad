"""Reading projects: from what lies in the directory to what is listed."""
