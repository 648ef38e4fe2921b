"""Reports: one self-contained HTML page, and PNG overlays. No torch."""

from triscope.kernel.report.inspecting import InspectionReport
from triscope.kernel.report.known import known_sections
from triscope.kernel.report.page import Page, Section, render, section, write_page
from triscope.kernel.report.pictures import Scale, overlay, scale_of, write_overlay
from triscope.kernel.report.sections.figures import Figure

__all__ = [
    "Figure",
    "InspectionReport",
    "Page",
    "Scale",
    "Section",
    "known_sections",
    "overlay",
    "render",
    "scale_of",
    "section",
    "write_overlay",
    "write_page",
]
