"""A second opinion on each setup: one science frame through ccdproc's functions, and how far the product differs."""


def crosscheck_path(night, name):
    """Where the cross-check of a setup is written."""
    return f"{RESULTS}/{night}/crosscheck_{name}.json"


def crosschecked(night):
    """The science frame of each setup of a night that is checked, by setup: the first of those with most masters."""
    found = {}
    for science in PLAN.find_science(night):
        masters = sum(match.master is not None for match in (science.bias, science.dark, science.flat))
        if science.setup not in found or masters > found[science.setup][0]:
            found[science.setup] = masters, science
    names = [setup.name for setup in found]
    numbered = (name if names.count(name) == 1 else f"{name}_{n}" for n, name in enumerate(names, start=1))
    return {name: science for name, (_, science) in zip(numbered, found.values())}


CROSSCHECKED = {night: crosschecked(night) for night in NIGHTS} if config["crosscheck"] else {}


def crosscheck_paths(night):
    """Cross-checks of a night; none if they are switched off."""
    return [crosscheck_path(night, name) for name in CROSSCHECKED.get(night, {})]


def checked(wildcards):
    """The science frame that a rule's wildcards name."""
    return CROSSCHECKED[wildcards.night][wildcards.setup]


rule crosscheck:
    """Calibrate one science frame of a setup with ccdproc's functions and the same masters, and compare."""
    input:
        raw=lambda w: str(checked(w).frame.path),
        product=lambda w: f"{RESULTS}/{w.night}/science/{checked(w).name}.fits",
        camera=lambda w: camera_file(checked(w).setup),
        bias=lambda w: matched_path(checked(w).bias),
        dark=lambda w: matched_path(checked(w).dark),
        flat=lambda w: matched_path(checked(w).flat),
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
        mem_mb=lambda w, attempt: attempt * memory(checked(w).setup, 200),
        runtime=10,
    params:
        script=script("crosscheck"),
        version=__version__,
        bias=lambda w, input: option("--bias", input.bias),
        dark=lambda w, input: option("--dark", input.dark),
        flat=lambda w, input: option("--flat", input.flat),
    shell:
        "python {params.script:q} {input.raw:q} --product {input.product:q} --camera {input.camera:q} {params.bias}"
        " {params.dark} {params.flat} --out {output:q} > {log:q} 2>&1"
