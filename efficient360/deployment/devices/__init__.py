"""Where an artefact runs: this machine, this machine under a limited profile, a host over SSH, a phone over ADB."""
