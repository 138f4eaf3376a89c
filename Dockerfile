# The server in an image of its own. The first build compiles everything and takes about as long as
# `cargo build --release` does by hand; later ones reuse what the cache mounts keep.
FROM rust:1.95-slim-bookworm AS build
# make and a C compiler: librdkafka and SQLite are built from their sources
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
# over rust-toolchain.toml, which also asks for clippy and rustfmt: not needed here
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
# The cache mount is not part of the image, so the binary is taken out of it in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package riskgrid-api --bin riskgrid \
    && cp target/release/riskgrid /usr/local/bin/riskgrid

FROM debian:bookworm-slim
# the roots of trust for webhooks over https
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/riskgrid --create-home riskgrid
COPY --from=build /usr/local/bin/riskgrid /usr/local/bin/riskgrid
COPY fixtures/compose/riskgrid.toml /etc/riskgrid/riskgrid.toml
USER riskgrid
WORKDIR /var/lib/riskgrid
# a named volume that is new takes the owner of this folder
VOLUME /var/lib/riskgrid
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["riskgrid"]
CMD ["serve", "--config", "/etc/riskgrid/riskgrid.toml"]
