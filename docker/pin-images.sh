#!/usr/bin/env bash
# docker/pin-images.sh: write the digests of the pulled base images to .env, so that no later image replaces them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"
env_file=${ENV_FILE:-.env}
[[ -f $env_file ]] || fail "$env_file does not exist: copy .env.example to it first"

pins=()
for image in PYTHON_IMAGE=python:3.11-slim POSTGRES_IMAGE=postgres:15; do
  name=${image%%=*}
  current=$(sed -n "s/^$name=//p" "$env_file" | tail -n 1)
  current=${!name:-${current:-${image#*=}}}
  digest=$(docker image inspect --format '{{join .RepoDigests "\n"}}' "$current" 2>/dev/null | head -n 1) \
    || fail "$current is not on this engine: run \`docker pull $current\` first"
  [[ $digest == *@sha256:* ]] || fail "$current has no digest, because it was not pulled from a registry: nothing was pinned"
  pins+=("$name=$digest")
done
pinned=$(mktemp "$env_file.XXXXXX")
{ grep -v -e '^PYTHON_IMAGE=' -e '^POSTGRES_IMAGE=' "$env_file" || true; printf '%s\n' "${pins[@]}"; } >"$pinned"
mv "$pinned" "$env_file"
printf '%s\n' "${pins[@]}"
