"""Plan and report of a night."""


localrules:
    plan,
    report_night,
    check_night,


rule plan:
    """Write and print the plan of each night."""
    output:
        plans=[RESULTS / night / "plan.csv" for night in NIGHTS],
        # The plan before the reduction; the report adds later failures to plan.csv. It also records the batches, so
        # Snakemake must not delete it before the job.
        planned=[update(locate_plan(RESULTS, night)) for night in NIGHTS],
    log:
        RESULTS / "logs/plan.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("plan"),
        version=__version__,
        config=lambda w: json.dumps(dict(config)),
        # changes when raw frames are added or removed
        digest=lambda w: hashlib.sha256("".join(map(PLAN.table, NIGHTS)).encode()).hexdigest(),
    shell:
        "python {params.script:q} {params.config:q} --out {output.plans:q} --planned {output.planned:q} | tee {log:q}"


rule report_night:
    """Write the report of a night; frames rejected during the reduction are entered in plan.csv."""
    input:
        plan=RESULTS / "{night}/plan.csv",
        planned=RESULTS / "logs/planned_{night}.csv",
        masters=lambda w: night_masters(w.night),
        science=lambda w: night_science(w.night),
        crosschecks=lambda w: crosscheck_paths(w.night),
    output:
        RESULTS / "{night}/report.html",
    log:
        RESULTS / "{night}/logs/report_night.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("report_night"),
        version=__version__,
        crosschecks=lambda w, input: options("--crosschecks", input.crosschecks),
    shell:
        "python {params.script:q} {wildcards.night} --planned {input.planned:q} --plan {input.plan:q}"
        " {params.crosschecks} --out {output:q} > {log:q} 2>&1"


rule check_night:
    """Fail if a frame was rejected: the last job of a strict night."""
    input:
        plan=RESULTS / "{night}/plan.csv",
        report=RESULTS / "{night}/report.html",
    output:
        touch(RESULTS / "{night}/strict.ok"),
    log:
        RESULTS / "{night}/logs/check_night.log",
    retries: 0
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("check_night"),
    shell:
        "python {params.script:q} {input.plan:q} 2>&1 | tee {log:q}"
