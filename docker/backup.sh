#!/usr/bin/env bash
# docker/backup.sh FOLDER: write the running stack's sweeps, runs and files to a new folder. Sweeps may run meanwhile.
#
# The order makes the parts fit: a sweep delivers again what its journal holds and the database lacks, and the files of a
# run are older than what the database says of them. The folder gets its name when it is complete.
set -euo pipefail
[[ $# -eq 1 ]] || { sed -n 's/^# \(docker.*\)/usage: \1/p' "$0" >&2; exit 2; }
folder=$(realpath -m "$1")
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"
umask 077

[[ ! -e $folder ]] || fail "$folder exists: name a folder that does not exist"
partial=$folder.partial
mkdir "$partial" || fail "$partial must not exist: another backup is running, or one has failed (then delete it)"
trap 'rm -rf "$partial"' EXIT

compose exec -T ray-head python /opt/stack/archive_sweeps.py >"$partial/sweeps.tar"
in_postgres pg_dump --format=custom mlflow >"$partial/mlflow.dump"
compose exec -T mlflow tar -C /artifacts -cf - . >"$partial/artifacts.tar"
(cd "$partial" && sha256sum sweeps.tar mlflow.dump artifacts.tar >SHA256SUMS && sync ./*)
mv -T "$partial" "$folder"
trap - EXIT
echo "$folder: $(du -sh "$folder" | cut -f1)"
