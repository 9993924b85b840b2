"""The one exception whose message is meant for the person at the keyboard."""


class InputError(ValueError):
    """What was asked cannot be done; the message is one line that names the cause and the remedy."""
