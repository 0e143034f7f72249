"""What runs inside the sandbox's own interpreter; nothing here is imported by an application."""
