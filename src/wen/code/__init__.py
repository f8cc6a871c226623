"""What a stage executes, listed in data/code: a change of it, and of nothing else, reruns the stage."""
