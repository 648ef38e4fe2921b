"""The first block of the README: from good parts to a verdict."""

import triscope

check = triscope.fit("patchcore", "parts/bottle", out="checks/bottle")  # a folder of good parts
print(check.card.zones.basis)  # what the thresholds promise

inspection = check.inspect("new.png")
print(inspection.verdict, "-", inspection.verdict.reason)
for finding in inspection.findings:
    print(finding.box, finding.measures["area_px"])
