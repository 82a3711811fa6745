# Every program of mini-kube and what it works with, all of it Debian's own: one image for all services of
# docker-compose.yml, told apart by their commands. Needs Debian's and npm's package mirrors and nothing else; where
# debian:trixie-slim cannot be pulled, `node --import tsx test/images/trixie.ts` makes it.
FROM debian:trixie-slim AS node
RUN apt-get update \
 && apt-get install -y --no-install-recommends nodejs ca-certificates \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

FROM node AS build
WORKDIR /src
# Node has a list of its own; a company's CA may be in this one.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
# Debian's npm comes with four hundred packages; npm itself is one file.
ADD https://registry.npmjs.org/npm/-/npm-10.9.4.tgz /tmp/npm.tgz
RUN echo "4bfba8a0c823024d1926ec9d97a37a00eb60fd2adf44b3d34a686fc32e8f51e4  /tmp/npm.tgz" | sha256sum -c \
 && mkdir /opt/npm && tar -xzf /tmp/npm.tgz -C /opt/npm --strip-components=1
COPY package.json package-lock.json ./
# No install scripts: every native part comes prebuilt in its package.
RUN node /opt/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY cmd cmd
COPY pkg pkg
RUN node pkg/api/generate/generate.mjs && node_modules/.bin/tsc -p cmd/tsconfig.json
RUN node /opt/npm/bin/npm-cli.js prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      conntrack curl docker-cli docker.io etcd-client etcd-server haproxy iproute2 iptables nftables tini \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mini-kube
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY package.json ./
COPY manifests manifests
# Programs by their names: mini-kube, mini-kube-agent, …
RUN for program in dist/cmd/*/main.js; do \
      name=$(basename "$(dirname "$program")"); \
      chmod +x "$program" && ln -s "$PWD/$program" "/usr/local/bin/mini-kube-${name}"; \
    done \
 && mv /usr/local/bin/mini-kube-mini-kube /usr/local/bin/mini-kube
WORKDIR /
# Reaps what its children leave behind, and passes signals on.
ENTRYPOINT ["tini", "--"]
CMD ["mini-kube", "--help"]
