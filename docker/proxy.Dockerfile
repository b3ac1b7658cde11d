# Debian's nginx, which serves MLflow and Ray's API by HTTPS.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light \
    && rm -rf /var/lib/apt/lists/*
COPY proxy_health.py /opt/stack/
COPY nginx.conf /etc/nginx/nginx.conf

USER 1000:1000
CMD ["nginx", "-e", "/dev/stderr", "-g", "daemon off;"]
