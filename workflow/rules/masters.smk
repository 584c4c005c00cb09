"""Masters of a night."""

REJECTION = f"--frame-sigma {config['rejection']['frame_sigma']} --stack-sigma {config['rejection']['stack_sigma']}" + (
    "" if config["rejection"]["floor"] else " --no-floor"
)
DEFECTS = " ".join(f"--{name} {'inf' if limit is None else limit}" for name, limit in config["defects"].items())


rule measure_gain:
    """Measure gain and read noise where headers and camera file do not tell them."""
    input:
        frames=raw_frames,
        camera=lambda w: camera_file(master_of(w).setup),
    output:
        RESULTS / "{night}/masters/{master}.json",
    log:
        RESULTS / "{night}/logs/{master}.log",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory(master_of(w).setup),
        runtime=lambda w, attempt: attempt * minutes(work(master_of(w))),
    params:
        script=script("measure_gain"),
        version=__version__,
    shell:
        "python {params.script:q} {input.frames:q} --camera {input.camera:q} --out {output:q} > {log:q} 2>&1"


rule warm_kernels:
    """Compile the loops of large stacks, once for all nights of a work folder, so that jobs side by side need not."""
    output:
        KERNELS / f"{fingerprint()}.ok",
    log:
        RESULTS / "logs/warm_kernels.log",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * 700,
        runtime=10,
    params:
        script=script("warm_kernels"),
    shell:
        "python {params.script:q} --out {output:q} > {log:q} 2>&1"


rule make_master_bias:
    """Stack the bias frames of one camera and mode."""
    input:
        frames=raw_frames,
        camera=lambda w: camera_file(master_of(w).setup),
        measured_gain=lambda w: matched(master_of(w).measured_gain),
        kernels=lambda w: compiled(work(master_of(w))),
    output:
        RESULTS / "{night}/masters/{master}.fits",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"bias_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: lambda w: stack_threads(master_of(w))
    resources:
        mem_mb=lambda w, attempt: attempt * memory(master_of(w).setup),
        runtime=lambda w, attempt: attempt * minutes(work(master_of(w))),
    params:
        script=script("make_master_bias"),
        version=__version__,
        warn=lambda w: warnings_for(master_of(w)),
        rejection=REJECTION,
        measured_gain=lambda w, input: option("--measured-gain", input.measured_gain),
    shell:
        "python {params.script:q} {input.frames:q} --camera {input.camera:q} {params.measured_gain}"
        " {params.warn} {params.rejection} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule make_master_dark:
    """Stack the dark frames of one camera, mode and temperature, per second."""
    input:
        frames=raw_frames,
        camera=lambda w: camera_file(master_of(w).setup),
        measured_gain=lambda w: matched(master_of(w).measured_gain),
        kernels=lambda w: compiled(work(master_of(w))),
        bias=lambda w: matched(master_of(w).bias),
    output:
        RESULTS / "{night}/masters/{master}.fits",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"dark_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: lambda w: stack_threads(master_of(w))
    resources:
        mem_mb=lambda w, attempt: attempt * memory(master_of(w).setup),
        runtime=lambda w, attempt: attempt * minutes(work(master_of(w))),
    params:
        script=script("make_master_dark"),
        version=__version__,
        warn=lambda w: warnings_for(master_of(w)),
        rejection=REJECTION,
        measured_gain=lambda w, input: option("--measured-gain", input.measured_gain),
        bias=lambda w, input: option("--bias", input.bias),
        hot=config["dark"]["hot"],
    shell:
        "python {params.script:q} {input.frames:q} --camera {input.camera:q} {params.measured_gain} {params.bias}"
        " --hot {params.hot} {params.warn} {params.rejection} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule make_master_flat:
    """Normalise and stack one filter's flats of one night."""
    input:
        frames=raw_frames,
        camera=lambda w: camera_file(master_of(w).setup),
        measured_gain=lambda w: matched(master_of(w).measured_gain),
        kernels=lambda w: compiled(work(master_of(w))),
        bias=lambda w: matched(master_of(w).bias),
        dark=lambda w: matched(master_of(w).dark),
    output:
        RESULTS / "{night}/masters/{master}.fits",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"flat_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: lambda w: stack_threads(master_of(w))
    resources:
        mem_mb=lambda w, attempt: attempt * memory(master_of(w).setup),
        runtime=lambda w, attempt: attempt * minutes(work(master_of(w))),
    params:
        script=script("make_master_flat"),
        version=__version__,
        warn=lambda w: warnings_for(master_of(w)),
        rejection=REJECTION,
        measured_gain=lambda w, input: option("--measured-gain", input.measured_gain),
        bias=lambda w, input: option("--bias", input.bias),
        dark=lambda w, input: option("--dark", input.dark),
        limits=" ".join(f"--{key} {config['flat'][key]}" for key in ("faintest", "departure", "dither")),
    shell:
        "python {params.script:q} {input.frames:q} --camera {input.camera:q} {params.measured_gain} {params.bias}"
        " {params.dark} {params.limits} {params.warn} {params.rejection} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule make_bad_pixel_mask:
    """Gather what the masters of a night say about pixels, and what the observer knows."""
    input:
        masters=lambda w: [product_path(master) for master in master_of(w).ingredients],
        user_masks=lambda w: [str(path) for path in master_of(w).user_masks],
    output:
        RESULTS / "{night}/masters/{master}.fits",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"bpm_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory(master_of(w).setup),
        runtime=10,
    params:
        script=script("make_bad_pixel_mask"),
        version=__version__,
        user_masks=lambda w, input: " ".join(option("--user-mask", path) for path in input.user_masks),
        limits=DEFECTS,
    shell:
        "python {params.script:q} {input.masters:q} {params.user_masks} {params.limits} --out {output:q} > {log:q} 2>&1"
