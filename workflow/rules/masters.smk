"""Masters of a night, and the verdicts on them."""


localrules:
    judge_master,


REJECTION = f"--frame-sigma {config['rejection']['frame_sigma']} --stack-sigma {config['rejection']['stack_sigma']}" + (
    "" if config["rejection"]["floor"] else " --no-floor"
)
DEFECTS = " ".join(
    f"--{name.replace('_', '-')} {'inf' if limit is None else limit}" for name, limit in config["defects"].items()
)


rule measure_gain:
    """Measure gain, read noise, and the step and top of the ADC."""
    input:
        frames=raw_frames,
        camera=master_camera,
        more_cameras=other_cameras,
    output:
        RESULTS / "{night}/masters/{master}.json",
    log:
        RESULTS / "{night}/logs/{master}.log",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=stack_memory,
        runtime=stack_minutes,
    params:
        script=script("measure_gain"),
        frames=raw_names,
        version=__version__,
        plane=master_plane,
        more_cameras=more_cameras,
        understood=master_frames,
        overrides=gain_overrides,
    shell:
        "python {params.script:q} {params.frames} --camera {input.camera:q} {params.more_cameras} {params.plane}"
        " {params.overrides} --out {output:q} > {log:q} 2>&1"


rule warm_kernels:
    """Compile the loops for large stacks, once for all nights of a working folder, before parallel jobs use them."""
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
    message:
        "Compiling the loops for large stacks, once for this folder: about 30 s."
    shell:
        "python {params.script:q} --out {output:q} > {log:q} 2>&1"


rule make_master_bias:
    """Stack the bias frames of one camera and mode."""
    input:
        frames=raw_frames,
        camera=master_camera,
        measured_gain=master_gain,
        kernels=stack_kernels,
    output:
        master=RESULTS / "{night}/masters/{master}.fits",
        maps=RESULTS / "{night}/verdicts/{master}.npz",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"bias_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: stack_threads
    resources:
        mem_mb=stack_memory,
        runtime=stack_minutes,
    params:
        script=script("make_master_bias"),
        frames=raw_names,
        version=__version__,
        plane=master_plane,
        understood=master_frames,
        overrides=master_overrides,
        warn=master_warnings,
        rejection=REJECTION,
        measured_gain=lambda w, input: measured_gain(input.measured_gain),
        serves=nearest_end,
        keep=kept_folder,
    shell:
        "python {params.script:q} {params.frames} --camera {input.camera:q} {params.plane} {params.overrides} {params.measured_gain}"
        " {params.serves} {params.warn} {params.rejection} {params.keep} --threads {threads} --out {output.master:q} --maps {output.maps:q} > {log:q} 2>&1"


rule make_master_dark:
    """Stack the dark frames of one camera, mode and temperature, per second."""
    input:
        frames=raw_frames,
        camera=master_camera,
        measured_gain=master_gain,
        kernels=stack_kernels,
        bias=master_candidates("bias"),
        verdicts=master_verdicts("bias"),
    output:
        master=RESULTS / "{night}/masters/{master}.fits",
        maps=RESULTS / "{night}/verdicts/{master}.npz",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"dark_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: stack_threads
    resources:
        mem_mb=stack_memory,
        runtime=stack_minutes,
    params:
        script=script("make_master_dark"),
        frames=raw_names,
        version=__version__,
        plane=master_plane,
        understood=master_frames,
        overrides=master_overrides,
        warn=master_warnings,
        rejection=REJECTION,
        measured_gain=lambda w, input: measured_gain(input.measured_gain),
        bias=lambda w, input: options("--bias", input.bias),
        hot=config["dark"]["hot"],
        keep=kept_folder,
    shell:
        "python {params.script:q} {params.frames} --camera {input.camera:q} {params.plane} {params.overrides} {params.measured_gain} {params.bias}"
        " --hot {params.hot} {params.warn} {params.rejection} {params.keep} --threads {threads} --out {output.master:q} --maps {output.maps:q} > {log:q} 2>&1"


rule make_master_flat:
    """Normalise and stack one filter's flats of one night."""
    input:
        frames=raw_frames,
        camera=master_camera,
        measured_gain=master_gain,
        kernels=stack_kernels,
        bias=master_candidates("bias"),
        dark=master_candidates("dark"),
        verdicts=master_verdicts("bias", "dark"),
    output:
        master=RESULTS / "{night}/masters/{master}.fits",
        maps=RESULTS / "{night}/verdicts/{master}.npz",
    log:
        RESULTS / "{night}/logs/{master}.log",
    wildcard_constraints:
        master=r"flat_[A-Za-z0-9._+-]+",
    conda:
        "../../envs/nightcal.yaml"
    threads: stack_threads
    resources:
        mem_mb=stack_memory,
        runtime=stack_minutes,
    params:
        script=script("make_master_flat"),
        frames=raw_names,
        version=__version__,
        plane=master_plane,
        understood=master_frames,
        overrides=master_overrides,
        warn=master_warnings,
        rejection=REJECTION,
        measured_gain=lambda w, input: measured_gain(input.measured_gain),
        bias=lambda w, input: options("--bias", input.bias),
        dark=lambda w, input: options("--dark", input.dark),
        limits=" ".join(f"--{key} {config['flat'][key]}" for key in ("faintest", "departure", "dither")),
        keep=kept_folder,
    shell:
        "python {params.script:q} {params.frames} --camera {input.camera:q} {params.plane} {params.overrides} {params.measured_gain} {params.bias}"
        " {params.dark} {params.limits} {params.warn} {params.rejection} {params.keep} --threads {threads} --out {output.master:q} --maps {output.maps:q} > {log:q} 2>&1"


rule judge_master:
    """Compare a master with the last accepted one, and reach a verdict on it."""
    input:
        maps=RESULTS / "{night}/verdicts/{master}.npz",
        earlier=lambda w: [maps_path(master) for master in earlier_masters(w)],
        verdicts=lambda w: verdict_paths(earlier_masters(w)),
    output:
        RESULTS / "{night}/verdicts/{master}.json",
    log:
        RESULTS / "{night}/logs/judge_{master}.log",
    conda:
        "../../envs/nightcal.yaml"
    threads: 1
    resources:
        mem_mb=300,
        runtime=10,
    params:
        script=script("judge_master"),
        version=__version__,
        earlier=describe_earlier,
        by_hand=said_by_hand,
    shell:
        "python {params.script:q} {input.maps:q} {params.earlier} {params.by_hand} --out {output:q} > {log:q} 2>&1"


rule make_bad_pixel_mask:
    """Combine the bad pixels of a night's masters and of the observer's masks."""
    input:
        masters=lambda w: [product_path(master) for master in find_master(w).ingredients],
        verdicts=lambda w: verdict_paths(find_master(w).ingredients),
        user_masks=lambda w: [str(path) for path in find_master(w).user_masks],
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
        mem_mb=stack_memory,
        runtime=10,
    params:
        script=script("make_bad_pixel_mask"),
        version=__version__,
        user_masks=lambda w, input: " ".join(option("--user-mask", path) for path in input.user_masks),
        limits=DEFECTS,
    shell:
        "python {params.script:q} {input.masters:q} {params.user_masks} {params.limits} --out {output:q} > {log:q} 2>&1"
