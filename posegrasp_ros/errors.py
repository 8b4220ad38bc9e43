"""What the package raises when the world hands it something it cannot use."""


class BadInput(ValueError):
    """A file, message or option that cannot be used.

    The message is one line that names the thing, what was found and what was expected. The command line
    prints it and exits with code 2; a node logs it and fails the transition.
    """
