"""Fringes: calibrated frames of a night make a fringe frame, which is then subtracted from the same frames.

The first pass writes to ``unfringed``; the rules of science frames make the final products with the fringe frame.
"""

for batch in UNFRINGED:

    rule:
        name:
            f"calibrate_unfringed_{batch.name}"
        input:
            frames=tracked(str(science.frame.path) for science in batch.members),
            camera=camera_file(batch.members[0].setup),
            kernels=science_kernels(batch),
            measured_gain=matched_path(batch.members[0].measured_gain),
            bias=candidate_paths(batch.members[0].bias),
            dark=candidate_paths(batch.members[0].dark),
            flat=candidate_paths(batch.members[0].flat),
            verdicts=verdicts_for(*batch.members[0].matches),
            bpm=matched_path(batch.members[0].bpm),
        output:
            temp(unfringed_paths(batch)),
        log:
            f"{RESULTS}/{batch.night}/logs/calibrate_unfringed_{batch.name}.log",
        conda:
            "../../envs/nightcal.yaml"
        threads: 1
        resources:
            mem_mb=lambda w, attempt, batch=batch: attempt * memory(batch.members[0].setup),
            runtime=lambda w, attempt, batch=batch: attempt
            * minutes(SCIENCE_STEPS * len(batch.members) * pixels(batch.members[0].setup)),
        params:
            script=script("reduce_science"),
            frames=lambda w, batch=batch: quote_paths(science.frame.path for science in batch.members),
            version=__version__,
            plane=plane_option(batch.members[0].setup),
            understood=lambda w, batch=batch: hash_frames([science.frame for science in batch.members]),
            overrides=lambda w, batch=batch: overrides_for([science.frame for science in batch.members]),
            measured_gain=lambda w, input: measured_gain(input.measured_gain),
            bias=lambda w, input: options("--bias", input.bias),
            dark=lambda w, input: options("--dark", input.dark),
            flat=lambda w, input: options("--flat", input.flat),
            bpm=lambda w, input: option("--bad-pixels", input.bpm),
            unit=config["unit"],
        shell:
            "python {params.script:q} {params.frames} --camera {input.camera:q} {params.plane} {params.overrides} {params.measured_gain} {params.bias}"
            " {params.dark} {params.flat} {params.bpm} --unit {params.unit} --out {output:q} > {log:q} 2>&1"


rule make_fringe:
    """Stack the sky of the science frames of one setup and filter into a fringe frame."""
    input:
        fringe_frames,
    output:
        master=RESULTS / "{night}/masters/{master}.fits",
        maps=RESULTS / "{night}/verdicts/{master}.npz",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"fringe_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory(fringe_batches(w)[0].members[0].setup, 100),
        runtime=lambda w, attempt: attempt * minutes(20 * fringe_pixels(w)),
    params:
        script=script("make_fringe"),
        version=__version__,
        pointings=fringe_pointings,
        rejection=f"--stack-sigma {config['rejection']['stack_sigma']}"
        + ("" if config["rejection"]["floor"] else " --no-floor"),
    shell:
        "python {params.script:q} {input:q} {params.pointings} {params.rejection} --threads {threads}"
        " --out {output.master:q} --maps {output.maps:q} > {log:q} 2>&1"
