#!/usr/bin/env bash
# docker/restore.sh FOLDER: restore a backup into a stack that has no data yet. Start the stack afterwards.
set -euo pipefail
[[ $# -eq 1 ]] || { sed -n 's/^# \(docker.*\)/usage: \1/p' "$0" >&2; exit 2; }
folder=$(realpath -m "$1")
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"

[[ $(cut -c67- "$folder/SHA256SUMS" 2>/dev/null) == $'sweeps.tar\nmlflow.dump\nartifacts.tar' ]] \
  || fail "$folder is not a complete backup: SHA256SUMS must list sweeps.tar, mlflow.dump and artifacts.tar"
(cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS) || fail "$folder is damaged: nothing was restored"

in_stack() {  # in_stack SERVICE COMMAND...: in a new container of a service, without those that it depends on
  compose run --rm -T --no-deps --entrypoint "" "$@"
}

[[ -z $(compose ps -q mlflow ray-head) ]] || fail "the stack must be down: run \`docker compose down\` first"
for volume in mlflow:/artifacts ray-head:/sweeps; do
  [[ -z $(in_stack "${volume%%:*}" find "${volume#*:}" -mindepth 1 -print -quit) ]] \
    || fail "${volume#*:} is not empty: restore into a stack without data (\`docker compose down --volumes\` deletes all)"
done
compose up -d postgres
count="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
for _ in $(seq 120); do
  n_tables=$(in_postgres psql -XqtA -c "$count" mlflow 2>/dev/null) && break
  sleep 0.5
done
[[ ${n_tables:?PostgreSQL did not start within a minute} == 0 ]] \
  || fail "the database is not empty: restore into a stack without data (\`docker compose down --volumes\` deletes all)"

in_postgres pg_restore --dbname=mlflow --no-owner --single-transaction --exit-on-error <"$folder/mlflow.dump"
in_stack mlflow tar -C /artifacts -xpf - <"$folder/artifacts.tar"
in_stack ray-head tar -C /sweeps -xpf - <"$folder/sweeps.tar"
echo "restored $folder: start the stack with \`docker compose up -d\`"
