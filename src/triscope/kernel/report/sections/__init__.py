"""The parts of a report, one a file; each makes a :class:`triscope.kernel.report.page.Section`."""
