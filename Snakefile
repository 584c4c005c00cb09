"""One night of raw CCD frames in, calibrated science frames out."""

import sys

sys.path.insert(0, str(workflow.basedir) + "/workflow")


configfile: workflow.basedir + "/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/masters.smk"
include: "workflow/rules/science.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        [path for night in NIGHTS for path in products_of(night)],
