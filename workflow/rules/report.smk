"""What was planned, what became of it."""


localrules:
    plan,
    report_night,
    check_night,


rule plan:
    """Write and print the plan of each night, and nothing else."""
    output:
        plans=[RESULTS / night / "plan.csv" for night in NIGHTS],
        # kept as planned; to the other, the report adds the frames that failed on the way
        # and which science frames are in one batch, whence Snakemake must not delete it before the job
        planned=[update(planned_path(RESULTS, night)) for night in NIGHTS],
    log:
        RESULTS / "logs/plan.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("plan"),
        version=__version__,
        config=lambda w: json.dumps(dict(config)),
        # a frame that comes or goes changes the plan, though no input file of this rule
        digest=lambda w: hashlib.sha256("".join(map(PLAN.table, NIGHTS)).encode()).hexdigest(),
    shell:
        "python {params.script:q} {params.config:q} --out {output.plans:q} --planned {output.planned:q} | tee {log:q}"


rule report_night:
    """Tell on one page what became of every raw frame; frames set aside on the way are added to the plan."""
    input:
        plan=RESULTS / "{night}/plan.csv",
        planned=RESULTS / "logs/planned_{night}.csv",
        masters=lambda w: masters_of(w.night),
        science=lambda w: reduced_of(w.night),
    output:
        RESULTS / "{night}/report.html",
    log:
        RESULTS / "{night}/logs/report_night.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("report_night"),
        version=__version__,
    shell:
        "python {params.script:q} {wildcards.night} --planned {input.planned:q} --plan {input.plan:q} --out {output:q} > {log:q} 2>&1"


rule check_night:
    """Fail if a frame was set aside: the last job of a strict night."""
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
