"""Tests of the pipeline start `wen` and `dvc` by `warm`, where they do not say otherwise."""

from tiny_study import Study

Study.installed = False
