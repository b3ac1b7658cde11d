"""Become another user of the host, and print a line for everything that it gets without a secret."""

import base64
import os
import sys
import urllib.error
import urllib.request

import psycopg

mlflow, ray_api, postgres = sys.argv[1:]
NOBODY = 65534
WRONG_PASSWORD = {"Authorization": "Basic " + base64.b64encode(b"admin:password").decode()}
WRONG_TOKEN = {"Authorization": "Bearer wrong", "X-Ray-Authorization": "Bearer wrong"}
MLFLOW_PATHS = [
    "/",
    "/graphql",
    "/version",
    "/get-artifact?path=x",
    "/api/2.0/mlflow/experiments/search?max_results=1",
    "/api/2.0/mlflow/users/list",
    "/api/2.0/mlflow-artifacts/artifacts?path=/",
    "/ajax-api/2.0/mlflow/users/current",
]
RAY_REQUESTS = [("/api/jobs/", None), ("/nodes?view=summary", None), ("/api/jobs/", b'{"entrypoint": "id"}')]
requests = [(mlflow + path, None, headers) for path in MLFLOW_PATHS for headers in ({}, WRONG_PASSWORD)]
requests += [(ray_api + path, body, headers) for path, body in RAY_REQUESTS for headers in ({}, WRONG_TOKEN)]


def attack() -> None:
    for url, body, headers in requests:
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20)  # noqa: S310
            print("GOT", url, answer.status, answer.read(80))
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403):
                print("STATUS", url, error.code)
    for password in (None, "mlflow", "password"):
        try:
            psycopg.connect(host=postgres, user="mlflow", dbname="mlflow", password=password, connect_timeout=10)
            print("GOT PostgreSQL by the password", password)
        except psycopg.OperationalError as error:
            if "password" not in str(error):
                print("STATUS PostgreSQL", error)


attack()  # which also imports all that it needs: the other user may not read the Python environment
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    attack()
print("done")
