"""Exit with status 0 if the proxy accepts HTTPS and reaches MLflow."""

import ssl
import urllib.request

# The certificate names the host that users connect to, not this address.
CONTEXT = ssl._create_unverified_context()  # noqa: S323

if __name__ == "__main__":
    urllib.request.urlopen("https://127.0.0.1:8443/health", timeout=8, context=CONTEXT).close()
