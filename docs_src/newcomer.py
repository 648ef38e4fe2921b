"""The newcomer's path in Python: fit, promise, inspect a folder, report, measure."""

from pathlib import Path

import triscope
from triscope.kernel.report import InspectionReport

check = triscope.fit("patchcore", "parts/bottle", out="checks/bottle")
check.calibrate(false_reject=0.25, confidence=0.9)  # or cost_escape=200, cost_reject=3
check.save()

report = InspectionReport(check.card, "Bottles of today")
photos = sorted(Path("photos").glob("*.png"))
for answer in check.inspect_many(photos):  # unreadable files come as Skipped
    report.add(answer)
report.write("report.html")

check = triscope.open("checks/bottle")  # anywhere, without torch
measured = check.evaluate("labelled")  # good/ and one folder a defect
print(measured.image["auroc"].value, measured.outcomes)
