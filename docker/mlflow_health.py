"""Exit with status 0 if MLflow rejects an unknown user: then it requires a login, and its database answers."""

import base64
import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:5000/api/2.0/mlflow/users/current"


def main() -> None:
    login = base64.b64encode(b"nobody:nobody").decode()
    try:
        urllib.request.urlopen(urllib.request.Request(URL, headers={"Authorization": f"Basic {login}"}), timeout=8)
    except urllib.error.HTTPError as error:
        sys.exit(0 if error.code == 401 else f"MLflow answered with status {error.code}: is PostgreSQL running?")
    sys.exit("MLflow accepted an unknown user")


if __name__ == "__main__":
    main()
