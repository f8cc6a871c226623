"""The exception for errors that users can correct, and the type of messages."""

Message = str
"""A message: a change to the text of a name or a function of this type reruns no stage."""


class WenError(Exception):
    """A problem that the user can correct.

    The message states what was found, where, and what to do. The command line prints it without a traceback and exits
    with 1.
    """
