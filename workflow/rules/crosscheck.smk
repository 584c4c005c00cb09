"""Comparison of a science frame of each setup with ccdproc."""


rule crosscheck:
    """Calibrate a science frame of a setup with ccdproc's functions and the same masters, and compare."""
    input:
        raw=lambda w: tracked([str(checked_frame(w).frame.path)]),
        product=lambda w: f"{RESULTS}/{w.night}/science/{checked_frame(w).name}.fits",
        camera=lambda w: camera_file(checked_frame(w).setup),
        bias=lambda w: candidate_paths(checked_frame(w).bias),
        dark=lambda w: candidate_paths(checked_frame(w).dark),
        flat=lambda w: candidate_paths(checked_frame(w).flat),
        verdicts=lambda w: verdicts_for(*checked_frame(w).matches),
    output:
        RESULTS / "{night}/crosscheck_{setup}.json",
    log:
        RESULTS / "{night}/logs/crosscheck_{setup}.log",
    wildcard_constraints:
        setup=r"[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory(checked_frame(w).setup, 200),
        runtime=10,
    params:
        script=script("crosscheck"),
        raw=lambda w: quote_paths([checked_frame(w).frame.path]),
        version=__version__,
        plane=lambda w: plane_option(checked_frame(w).setup),
        bias=lambda w, input: options("--bias", input.bias),
        dark=lambda w, input: options("--dark", input.dark),
        flat=lambda w, input: options("--flat", input.flat),
    shell:
        "python {params.script:q} {params.raw} --product {input.product:q} --camera {input.camera:q} {params.plane} {params.bias}"
        " {params.dark} {params.flat} --out {output:q} > {log:q} 2>&1"
