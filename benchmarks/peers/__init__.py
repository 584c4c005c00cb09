"""The programs to compare, one module each.

A module has `NAME`, `VERSIONS` (distributions to list with the table; or a function `version`), and `missing()`, which
explains why the program cannot run here (empty if it can). `LACKS` explains why the program does not have a task.

Tasks are functions of a `benchmarks.jobs.Job` called `bias`, `dark`, `flat` and `science`, from raw files to a result
in memory. `write(result, path)` writes the result, and `read(path)` returns its image for the comparison: in electrons,
or in ADU if `IN_ADU` is true. A program run from the command line has `command(job, result)` instead.
"""
