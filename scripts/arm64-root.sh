#!/bin/sh
# An ARM64 userland with Python, numpy and runtimes in a folder, to run artefacts under qemu-user as an ARM64 board would:
#
#     scripts/arm64-root.sh DIR
#     EFFICIENT360_ARM64=DIR python -m pytest tests/deployment/devices/test_arm64.py
#
# Needs Debian 12, qemu-user-static, pip and the network, and no rights beyond a user's. Functional only: emulation says nothing about speed.
set -eu
root=$(mkdir -p "$1" && cd "$1" && pwd)
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$root/wheels"
: > "$apt/status"
options="-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State=$apt/state -o Dir::State::status=$apt/status -o Dir::Cache=$apt/cache -o Debug::NoLocking=1"
apt-get $options update
apt-get $options install --download-only --yes --no-install-recommends python3.11 libstdc++6 libgomp1
for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
python3 -m pip download --quiet --only-binary=:all: --no-deps --python-version 3.11 --implementation cp --dest "$root/wheels" \
    --platform manylinux2014_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_31_aarch64 --platform manylinux_2_34_aarch64 --platform any \
    numpy onnxruntime ai-edge-litert ncnn MNN flatbuffers protobuf
for wheel in "$root"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$root/usr/lib/python3/dist-packages"; done
# ONNX Runtime reads these to learn what the processor can do; the emulator would show it the host's.
mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
printf 'processor\t: 0\nBogoMIPS\t: 100.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n' > "$root/proc/cpuinfo"
for list in possible present online; do echo 0 > "$root/sys/devices/system/cpu/$list"; done
echo "EFFICIENT360_ARM64=$root"
