from report_study import make_study

__all__ = ["make_study"]
