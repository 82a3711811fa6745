#!/bin/bash
# Makes the token by which workers join, and the kubeconfig of the host.
set -euo pipefail
umask 077

KUBECONFIG=/pki/admin.kubeconfig mini-kube token create --ttl 1h --description "workers of the compose cluster" \
  -o kubeconfig > /join/new
mv /join/new /join/bootstrap.kubeconfig

# From outside there is one address. The file belongs to whom the folder belongs to, who need not be root.
sed -E "s|^( *server:).*|\1 https://127.0.0.1:${MINI_KUBE_PORT}|; /^ *mini-kube\.io\/servers:/d; /^ *- https:/d" \
  /pki/admin.kubeconfig > /host/.kubeconfig.new
chown "$(stat -c %u:%g /host)" /host/.kubeconfig.new
mv /host/.kubeconfig.new /host/kubeconfig
echo "wrote ./kubeconfig: export KUBECONFIG=\$PWD/kubeconfig"
