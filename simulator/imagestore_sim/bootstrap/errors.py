"""What is wrong with a bootstrap file."""


class BootstrapError(Exception):
    """A bootstrap file that cannot be used. The text names file, line and field; nothing has been changed."""
