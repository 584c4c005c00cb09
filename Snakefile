"""Reduce nights of raw CCD frames to calibrated science frames."""

import sys

HERE = workflow.current_basedir.get_path_or_uri(secret_free=True)  # also where another workflow uses this as a module
sys.path.insert(0, f"{HERE}/workflow")


include: "workflow/rules/common.smk"
include: "workflow/rules/masters.smk"
include: "workflow/rules/fringes.smk"
include: "workflow/rules/science.smk"
include: "workflow/rules/stars.smk"
include: "workflow/rules/crosscheck.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/archive.smk"


rule all:
    default_target: True
    input:
        [path for night in NIGHTS for path in night_products(night)],
        [RESULTS / "index.html"] if NIGHTS else [],


onstart:
    watch_science()


onsuccess:
    sys.stderr.writelines(f"{line}\n" for line in conclude_nights())


onerror:
    sys.stderr.writelines(f"{line}\n" for line in conclude_nights(failed=True))
