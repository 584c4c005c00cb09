"""The library: `snakemake archive` adds the accepted masters of reduced nights to it."""


localrules:
    archive,


rule archive:
    """Add the accepted masters of the nights to the library."""
    input:
        [RESULTS / night / "checked.ok" for night in NIGHTS],
    log:
        RESULTS / "logs/archive.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("archive"),
        nights=lambda w: [RESULTS / night for night in NIGHTS],
        library=lambda w: option("--library", config["archive"]),
    shell:
        "python {params.script:q} {params.nights:q} {params.library} 2>&1 | tee {log:q}"
