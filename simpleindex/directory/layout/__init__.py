"""What lies in the directory: projects, their files, and what is not served."""
