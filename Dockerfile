# The users API. Any Python image of 3.11 or later that has pip and venv will do as a base.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
COPY service/requirements.lock /build/
# pip stays behind here; it works on the virtual environment from outside.
RUN python3 -m venv --without-pip /app/venv \
    && python3 -m pip --python /app/venv/bin/python3 install --quiet --disable-pip-version-check --no-cache-dir \
        --no-compile --only-binary :all: --require-hashes -r /build/requirements.lock
COPY service /app/service
# Bytecode that is told by the source's content and never checked, modes that no umask decides, one time for all: the
# same sources make the same bytes.
RUN rm -f /app/service/requirements.lock \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /app/service /app/venv/lib \
    && chmod -R u=rwX,go=rX /app \
    && mkdir /image && mv /app /image/ \
    && find /image -exec touch --no-dereference --date=@0 {} +

FROM ${BASE_IMAGE}
# The folder's content and not the folder, whose own time would be that of the copy.
COPY --from=build /image/ /
WORKDIR /app
ENV PATH=/app/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SERVICE_HOST=0.0.0.0 \
    SERVICE_PORT=8000
EXPOSE 8000
# A number, so that Kubernetes can tell that it is not root's.
USER 65532:65532
# Counters go to memory, /dev/shm, or to SERVICE_STATE_DIR: the root file system may be read-only.
HEALTHCHECK --interval=5s --timeout=2s --start-period=10s --retries=3 \
    CMD ["python3", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SERVICE_PORT']), timeout=2); c.request('GET', '/health/liveness'); sys.exit(c.getresponse().status != 200)"]
CMD ["python3", "-m", "service"]

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="users-api" \
    org.opencontainers.image.description="A small users API, instrumented so that its monitoring can be held to the truth" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
