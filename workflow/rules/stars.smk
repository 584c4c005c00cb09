"""Reference stars of the fields of a night: run `snakemake fetch_stars` once, with a network."""


localrules:
    fetch_stars,


rule fetch_stars:
    """Download the reference stars of each field, for this and later reductions."""
    log:
        RESULTS / "logs/fetch_stars.log",
    conda:
        "../../envs/nightcal.yaml"
    params:
        script=script("fetch_stars"),
        catalogue=config["catalog"]["download"] or "null",
        folder=config["catalog"]["folder"],
        faintest=config["catalog"]["faintest"],
        fields=" ".join(f"--field {ra:.6f} {dec:.6f} {radius}" for ra, dec, radius in star_fields(PLAN.science)),
    shell:
        "python {params.script:q} {params.catalogue:q} --folder {params.folder:q} --faintest {params.faintest}"
        " {params.fields} 2>&1 | tee {log:q}"
