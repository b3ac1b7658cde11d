# One image for the Ray hosts and the MLflow server. DEVICE=gpu installs torch with CUDA.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}

RUN useradd --uid 1000 --create-home sweeps \
    && install -d -o sweeps -g sweeps /sweeps /artifacts \
    && printf '[mlflow]\ndefault_permission = READ\ndatabase_uri = postgresql:///mlflow\nauth_cache_ttl_seconds = 60\n' >/etc/mlflow-auth.ini \
    && python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Layers that rarely change come first. PyPI's torch includes CUDA (several GB); the CPU index has torch without it.
WORKDIR /opt/autoencoder-sweeps
COPY constraints.txt ./
ARG DEVICE=cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
RUN if [ "$DEVICE" = cpu ]; then pip install --no-deps --index-url "$TORCH_CPU_INDEX" -c constraints.txt torch; fi

COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['server'], sep='\n')" >/tmp/requirements.txt \
    && pip install -c constraints.txt -r /tmp/requirements.txt

COPY README.md LICENSE ./
COPY sweeps sweeps
COPY models models
COPY datamodules datamodules
RUN pip install --no-deps .
COPY docker/*.py /opt/stack/

USER sweeps
WORKDIR /home/sweeps
ENV SWEEPS_HOME=/sweeps
CMD ["sweeps", "--help"]
