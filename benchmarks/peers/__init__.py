"""The programs that are compared, one module each.

A module has `NAME`, `VERSIONS` (distributions to name under the table; or a function `version`), and `missing()`, which
says why it cannot be run here ("" if it can). `LACKS` says of a task why it is not there.

Tasks are functions of a `benchmarks.jobs.Job` called `bias`, `dark`, `flat` and `science`, from raw files to a result
in memory. `write(result, path)` writes that result, and `read(path)` gives its image for the comparison: in electrons,
or in ADU where `IN_ADU` says so. A program that is run by a command line has `command(job, result)` instead.
"""
