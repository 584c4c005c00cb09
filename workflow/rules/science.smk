"""Science frames: a rule for each batch, so that each frame is a declared output and a job reduces many."""

for batch in [batch for night in NIGHTS for batch in PLAN.find_batches(night)]:

    rule:
        name:
            f"reduce_science_{batch.name}"
        input:
            frames=tracked(str(science.frame.path) for science in batch.members),
            camera=camera_file(batch.members[0].setup),
            kernels=science_kernels(batch),
            measured_gain=matched_path(batch.members[0].measured_gain),
            bias=candidate_paths(batch.members[0].bias),
            dark=candidate_paths(batch.members[0].dark),
            flat=candidate_paths(batch.members[0].flat),
            verdicts=verdicts_for(*batch.members[0].matches) + fringe_verdict(batch),
            fringe=fringe_path(batch),
            bpm=matched_path(batch.members[0].bpm),
            stars=tracked(star_files()),
            fields=field_files(batch),
        output:
            science=science_paths(batch),
            catalogs=catalog_paths(batch),
            thumbnails=thumbnail_paths(batch),
        log:
            f"{RESULTS}/{batch.night}/logs/reduce_science_{batch.name}.log",
        conda:
            "../../envs/nightcal.yaml"
        threads: 1
        resources:
            mem_mb=lambda w, attempt, batch=batch: attempt * memory(batch.members[0].setup, 100 if MEASUREMENTS else 40),
            runtime=lambda w, attempt, batch=batch: attempt
            * minutes((20 if MEASUREMENTS else SCIENCE_STEPS) * len(batch.members) * pixels(batch.members[0].setup)),
        params:
            script=script("reduce_science"),
            frames=lambda w, batch=batch: quote_paths(science.frame.path for science in batch.members),
            version=__version__,
            plane=plane_option(batch.members[0].setup),
            understood=lambda w, batch=batch: hash_frames([science.frame for science in batch.members]),
            # functions, since names, notes and warnings may contain braces
            overrides=lambda w, batch=batch: overrides_for([science.frame for science in batch.members]),
            measured_gain=lambda w, input: measured_gain(input.measured_gain),
            bias=lambda w, input: options("--bias", input.bias),
            dark=lambda w, input: options("--dark", input.dark),
            flat=lambda w, input: options("--flat", input.flat),
            bpm=lambda w, input: option("--bad-pixels", input.bpm),
            fringe=lambda w, input: options("--fringe", input.fringe),
            warn=lambda w, batch=batch: warnings_for(batch.members[0]),
            unit=config["unit"],
            measure=lambda w, batch=batch: json.dumps(measurements_for(batch), sort_keys=True),
            stars=lambda w: options("--stars", star_files()),
            columns=lambda w: option(
                "--columns", star_files() and json.dumps(config["catalog"]["columns"], sort_keys=True)
            ),
            fields=lambda w, input: options("--fields", input.fields),
            catalogs=lambda w, output: options("--catalogs", output.catalogs),
            thumbnails=lambda w, output: options("--thumbnails", output.thumbnails),
            keep=option("--keep", f"{RESULTS}/{batch.night}/.kept/{batch.name}"),
        shell:
            "python {params.script:q} {params.frames} --camera {input.camera:q} {params.plane} {params.overrides} {params.measured_gain} {params.bias}"
            " {params.dark} {params.flat} {params.bpm} {params.fringe} {params.warn} --unit {params.unit} --measure {params.measure:q}"
            " {params.stars} {params.columns} {params.fields} {params.keep} --out {output.science:q} {params.catalogs} {params.thumbnails} > {log:q} 2>&1"
