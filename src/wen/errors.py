"""What a person is meant to read: the one exception, and the type of texts for it."""

Message = str
"""A text for people: a change of what a function or a name of this type says reruns no stage."""


class WenError(Exception):
    """A problem that whoever runs the study can mend.

    Its text says what was found, where, and what to do. The command line prints it without a
    traceback and exits with 1.
    """
