"""What was planned, what became of it."""


localrules:
    plan,
    report_night,
    check_night,


rule plan:
    """Write and print the plan of each night, and nothing else."""
    output:
        expand(RESULTS + "/{night}/plan.csv", night=NIGHTS),
    params:
        tables=[PLAN.table(night) for night in NIGHTS],
    run:
        from nightcal.fitsio import write_text

        for path, table in zip(output, params.tables):
            write_text(Path(path), table)
            print(table)


rule report_night:
    """Tell on one page what became of every raw frame; frames set aside on the way are added to the plan."""
    input:
        plan=RESULTS + "/{night}/plan.csv",
        masters=lambda w: masters_of(w.night),
        science=lambda w: science_of(w.night),
    output:
        RESULTS + "/{night}/report.html",
    log:
        RESULTS + "/{night}/logs/report_night.log",
    conda:
        "../../envs/nightcal.yaml"
    shell:
        "python {SCRIPTS}/report_night.py {wildcards.night} --plan {input.plan:q} --out {output:q} > {log:q} 2>&1"


rule check_night:
    """Fail if a frame was set aside: the last job of a strict night."""
    input:
        plan=RESULTS + "/{night}/plan.csv",
        report=RESULTS + "/{night}/report.html",
    output:
        touch(RESULTS + "/{night}/strict.ok"),
    log:
        RESULTS + "/{night}/logs/check_night.log",
    conda:
        "../../envs/nightcal.yaml"
    shell:
        "python {SCRIPTS}/check_night.py {input.plan:q} 2>&1 | tee {log:q}"
