#!/usr/bin/env bash
# safetensors 0.8.0: `save_file` writes a private file and puts it in the place of whatever had that name.
#
# With umask 022, safetensors 0.7.0 writes a file of mode 0644, keeps the mode of a file that it overwrites, and writes
# through a symbolic link. safetensors 0.8.0 writes mode 0600 whatever the umask says, makes an existing 0664 file 0600,
# and replaces a symbolic link by a regular file, so that the link's target keeps its old content.
# A model saved by one user can no longer be read by a server that runs as another, beside a config.json that can.
#
# Seen on 2026-11-30 with Python 3.11 and numpy 2:
#   0.7.0 fresh=644 over_664=664 link=followed
#   0.8.0 fresh=600 over_664=600 link=replaced
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/probe.py" <<'PYTHON'
import os, pathlib, numpy, safetensors
from safetensors.numpy import save_file

os.umask(0o022)
tensors = {"weight": numpy.zeros(3, numpy.float32)}
mode = lambda name: format(os.stat(name).st_mode & 0o777, "o")
save_file(tensors, "plain")
fresh = mode("plain")
os.chmod("plain", 0o664)
save_file(tensors, "plain")
pathlib.Path("target").touch()
os.symlink("target", "link")
save_file(tensors, "link")
link = "followed" if os.path.islink("link") and os.path.getsize("target") else "replaced"
print(f"{safetensors.__version__} fresh={fresh} over_664={mode('plain')} link={link}")
PYTHON
for version in 0.7.0 0.8.0; do
  python3 -m venv "$work/$version"
  "$work/$version/bin/pip" install --quiet --disable-pip-version-check "safetensors==$version" "numpy>=2,<3"
  mkdir "$work/$version/files"
  (cd "$work/$version/files" && "$work/$version/bin/python" "$work/probe.py") | tee -a "$work/seen"
done
diff "$work/seen" - <<'EXPECTED'
0.7.0 fresh=644 over_664=664 link=followed
0.8.0 fresh=600 over_664=600 link=replaced
EXPECTED
