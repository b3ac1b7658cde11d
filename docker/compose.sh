# Sourced by the scripts of this folder: `compose` runs Compose on the stack of this checkout.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose "$@"
  else
    docker-compose "$@"
  fi
}

fail() {
  echo "$1" >&2
  exit 1
}

# in_postgres COMMAND...: with the password of the container's environment
in_postgres() {
  compose exec -T postgres sh -c 'PGPASSWORD=$POSTGRES_PASSWORD PGUSER=mlflow exec "$@"' sh "$@"
}
