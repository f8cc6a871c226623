"""The one exception that a person is meant to read."""


class WenError(Exception):
    """A problem that whoever runs the study can mend.

    Its text says what was found, where, and what to do. The command line prints it without a
    traceback and exits with 1.
    """
