#!/bin/bash
# Makes the token by which workers join, and the kubeconfig of the host.
set -euo pipefail
umask 077

mini-kube --kubeconfig /pki/admin.kubeconfig token create --ttl 1h --description "workers of the compose cluster" \
  -o kubeconfig > /join/new
mv /join/new /join/bootstrap.kubeconfig

# It belongs to whom the folder belongs to, who is not root on the host.
sed -E "s|^( *server:).*|\1 https://127.0.0.1:${MINI_KUBE_PORT}|; /mini-kube.io\/servers:/,/^[^ ]|^ *[a-z-]+:/d" \
  /pki/admin.kubeconfig > /host/.kubeconfig.new
chown "$(stat -c %u:%g /host)" /host/.kubeconfig.new
mv /host/.kubeconfig.new /host/kubeconfig
echo "wrote ./kubeconfig: export KUBECONFIG=\$PWD/kubeconfig"
