"""The lab: pages with sliders, a readable marimo notebook a topic (``unitcircle lab``), on our public functions only.

A notebook turns the positions of its sliders into three lines of code; :func:`view` runs them, shows what they draw or
return, and prints them.
"""

from unitcircle.lab._notebooks import NOTEBOOKS, notebook
from unitcircle.lab._view import View, view

__all__ = ["NOTEBOOKS", "View", "notebook", "view"]
