"""Plan and report of a night."""


localrules:
    plan,
    report_night,
    check_night,
    make_index,
    missing,


rule plan:
    """Write and print the plan of each night."""
    output:
        plans=[RESULTS / night / "plan.csv" for night in NIGHTS],
        # The plan before the reduction; the report adds later failures to plan.csv. It also records the batches, so
        # Snakemake must not delete it before the job.
        planned=[update(locate_plan(RESULTS, night)) for night in NIGHTS],
        summaries=[RESULTS / f"logs/summary_{night}.json" for night in NIGHTS],
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
        "python {params.script:q} {params.config:q} --out {output.plans:q} --planned {output.planned:q}"
        " --summary {output.summaries:q} | tee {log:q}"


rule find_persistent_hits:
    """Find the pixels that are flagged as cosmic rays in most science frames of a setup."""
    input:
        searched_frames,
    output:
        RESULTS / "{night}/persistent_hits_{setup}.fits",
    log:
        RESULTS / "{night}/logs/persistent_hits_{setup}.log",
    wildcard_constraints:
        setup=r"[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        script=script("find_persistent_hits"),
        version=__version__,
        catalogs=lambda w: option("--catalogs", f"{RESULTS}/{w.night}/catalogs" if "sources" in MEASUREMENTS else ""),
    shell:
        "python {params.script:q} {input:q} {params.catalogs} --out {output:q} > {log:q} 2>&1"


rule report_night:
    """Write the report of a night; frames rejected during the reduction are entered in plan.csv."""
    input:
        plan=RESULTS / "{night}/plan.csv",
        planned=RESULTS / "logs/planned_{night}.csv",
        summary=RESULTS / "logs/summary_{night}.json",
        masters=lambda w: night_masters(w.night),
        verdicts=lambda w: night_verdicts(w.night),
        science=lambda w: night_science(w.night),
        crosschecks=lambda w: crosscheck_paths(w.night),
        hits=lambda w: persistent_hits(w.night),
    output:
        page=RESULTS / "{night}/report.html",
        summary=RESULTS / "{night}/summary.json",
        verdicts=RESULTS / "{night}/masters/verdicts.csv",
        numbers=RESULTS / "{night}/calibrations.csv",
        frames=RESULTS / "{night}/frames.csv",
        obscore=RESULTS / "{night}/obscore.csv",
    log:
        RESULTS / "{night}/logs/report_night.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("report_night"),
        version=__version__,
        crosschecks=lambda w, input: options("--crosschecks", input.crosschecks),
        hits=lambda w, input: options("--hits", input.hits),
        raw=lambda w: config["raw"],  # a function, for paths with braces
        remarks=lambda w: " ".join(option("--remark", text) for text in RUN.remarks.get(w.night, [])),
    shell:
        "python {params.script:q} --planned {input.planned:q} --summary {input.summary:q} --plan {input.plan:q}"
        " {params.crosschecks} {params.hits} {params.remarks} --raw {params.raw:q} --out {output.page:q} {output.summary:q}"
        " --tables {output.verdicts:q} {output.numbers:q} {output.frames:q}"
        " {output.obscore:q} > {log:q} 2>&1"


rule make_index:
    """Write the page of all nights that were ever reduced into the folder of results."""
    input:
        [RESULTS / night / "summary.json" for night in NIGHTS],
    output:
        update(RESULTS / "index.html"),
    log:
        RESULTS / "logs/make_index.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("make_index"),
        version=__version__,
        results=lambda w, output: os.path.dirname(output[0]),
    shell:
        "python {params.script:q} {params.results:q} --out {output:q} > {log:q} 2>&1"


rule check_night:
    """Fail if no science frame was calibrated or, in a strict night, if anything was not done: the last job."""
    input:
        summary=RESULTS / "{night}/summary.json",
    output:
        touch(RESULTS / "{night}/checked.ok"),
    log:
        RESULTS / "{night}/logs/check_night.log",
    retries: 0
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("check_night"),
        strict="--strict" if config["strict"] else "",
        allow="--allow-uncalibrated" if config["uncalibrated"] == "allow" else "",
    shell:
        "python {params.script:q} {input.summary:q} {params.strict} {params.allow} > {log:q} 2>&1"


rule missing:
    """List the frames that should still be taken."""
    log:
        RESULTS / "logs/missing.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("missing"),
        config=lambda w: json.dumps(dict(config)),
    shell:
        "python {params.script:q} {params.config:q} | tee {log:q}"
