# The gate as a container: built in one stage, run from another that holds no compiler and no pip.
# PYTHON_IMAGE is any image with Python 3.11 or later on Debian's or Alpine's lines.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python3 -m venv /opt/passgate
COPY constraints ./constraints
RUN /opt/passgate/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes -r constraints/runtime.txt -r constraints/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/passgate/bin/pip install --no-cache-dir --disable-pip-version-check \
      --no-deps --no-build-isolation . \
 && /opt/passgate/bin/pip uninstall -y --disable-pip-version-check hatchling editables \
 && /opt/passgate/bin/python -m compileall -q /opt/passgate/lib \
 && mkdir -p /var/lib/passgate

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/passgate /opt/passgate
# One number for user and group, so that a volume's owner can be named without looking inside.
COPY --from=build --chown=65532:65532 /var/lib/passgate /var/lib/passgate
ENV PATH=/opt/passgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /etc/passgate
# Nothing but gate.data_dir is written; the root file system may be mounted read-only.
VOLUME ["/var/lib/passgate"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["passgate", "health", "--url", "http://127.0.0.1:9901/readyz"]
ENTRYPOINT ["passgate"]
CMD ["serve", "--config", "/etc/passgate/gate.yaml"]
