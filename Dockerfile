# syntax=docker/dockerfile:1
# Sluice as one static binary, run by nobody in particular. The image has no shell:
# look inside with docker debug, or by /metrics.
FROM golang:1.26.8-alpine3.22 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY VERSION ./
COPY codec codec
COPY gateway gateway
COPY index index
COPY internal internal
COPY metrics metrics
COPY pipeline pipeline
# docker build --build-arg REVISION=$(git rev-parse HEAD): the image has no .git.
ARG REVISION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o /out/sluice \
	-ldflags "-s -w -X main.stampedVersion=$(cat VERSION) -X main.stampedRevision=$REVISION" ./gateway
# The embedded store and log, if they are used, need a folder that the user may write.
RUN mkdir -p /out/data

FROM scratch
# Whom to believe when the object store and Kafka are reached by TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sluice /sluice
COPY --from=build --chown=65532:65532 /out/data /var/lib/sluice
ENV SLUICE_DATA_DIR=/var/lib/sluice
USER 65532:65532
VOLUME /var/lib/sluice
EXPOSE 2525 8025
# SIGTERM drains: give it drain.grace and drain.deadline before SIGKILL.
STOPSIGNAL SIGTERM
# It reads the same file and variables as the gateway, so it asks the right port.
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["/sluice", "healthcheck"]
ENTRYPOINT ["/sluice"]
CMD ["serve"]
