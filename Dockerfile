# The gate as a container: built in one stage, run from another that gets nothing of the tools.
# PYTHON_IMAGE is an image with Python 3.11 or later, its venv module, and a zone database; the
# official python images have them. BUILD_IMAGE is the same with a C compiler and Python's headers:
# the gate's hot path is compiled, and dependencies come as wheels. With COMPILE=0 it is not, and
# one image will do for both.
ARG BUILD_IMAGE=docker.io/library/python:3.13
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${BUILD_IMAGE} AS build
ARG COMPILE=1
# Constraints such as operating_hours name zones; without their data such passports are refused.
RUN python3 -c "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')"
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/passgate
WORKDIR /build
COPY constraints ./constraints
# An index of your own: docker build --secret id=pip.conf,src=pip.conf; no layer keeps it.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile \
      --require-hashes --only-binary :all: -r constraints/compile.txt \
 && /opt/tools/bin/pip --python /opt/passgate/bin/python install \
      --no-cache-dir --disable-pip-version-check --no-compile \
      --require-hashes --only-binary :all: -r constraints/runtime.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
RUN PASSGATE_COMPILE=${COMPILE} /opt/tools/bin/python -m hatchling build -t wheel -d dist \
 && /opt/tools/bin/pip --python /opt/passgate/bin/python install --disable-pip-version-check \
      --no-index --no-deps --no-compile dist/*.whl
# Slim images come without the standard library's bytecode, and a read-only root cannot get it later:
# each health check would compile for a second. Checked by content, so an upgrade in a derived image
# counts, whatever the files' times are.
RUN PYTHONPYCACHEPREFIX=/opt/passgate/bytecode /opt/passgate/bin/python -m compileall -q \
      --invalidation-mode checked-hash \
      -x '/(dist-packages|ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo)/' \
      "$(/opt/passgate/bin/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
      /opt/passgate/lib \
 && mkdir -p /opt/data && mkdir -m 0700 /opt/data/passgate

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/passgate /opt/passgate
# One number for user and group, so that a volume's owner can be named without looking inside.
COPY --from=build --chown=65532:65532 /opt/data /var/lib
ENV PATH=/opt/passgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/passgate/bytecode \
    PYTHONUNBUFFERED=1
# Made by root: the gate must not be able to write its own configuration.
WORKDIR /etc/passgate
USER 65532:65532
# Nothing but gate.data_dir is written; the root file system may be mounted read-only.
VOLUME ["/var/lib/passgate"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["passgate", "health", "--url", "http://127.0.0.1:9901/readyz"]
ENTRYPOINT ["passgate"]
CMD ["serve", "--config", "/etc/passgate/gate.yaml"]
