#!/usr/bin/env bash
# `zstd -c` does not know the length of what comes through a pipe, so the frame of 11 bytes declares a
# window of 2 MiB; of a file it declares no more than the file's length.
# It matters to a relay because a decoder that bounds its memory bounds the window: one that takes less
# than 2 MiB refuses what the command writes by default, however short the input is.
set -euo pipefail
command -v zstd >/dev/null || { echo "this needs zstd" >&2; exit 2; }
zstd --version
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
printf 'hello world' >"$folder/input"
python3 - "$folder" <<'PYTHON'
import subprocess, sys

def window(frame):
    """RFC 8878, section 3.1.1.1."""
    assert frame[:4] == b"\x28\xb5\x2f\xfd"
    descriptor = frame[4]
    if descriptor & 0x20:  # Single segment: the window is the content.
        length = {0: 1, 1: 2, 2: 4, 3: 8}[descriptor >> 6]
        return int.from_bytes(frame[5:5 + length], "little") + (256 if length == 2 else 0)
    exponent, mantissa = frame[5] >> 3, frame[5] & 7
    base = 1 << (10 + exponent)
    return base + base // 8 * mantissa

text = open(sys.argv[1] + "/input", "rb").read()
piped = window(subprocess.run(["zstd", "-qc"], input=text, stdout=subprocess.PIPE).stdout)
filed = window(subprocess.run(["zstd", "-qc", sys.argv[1] + "/input"], stdout=subprocess.PIPE).stdout)
print("from a pipe:", piped, "bytes; from a file:", filed, "bytes")
sys.exit(0 if piped == 2 << 20 and filed == len(text) else 1)
PYTHON
