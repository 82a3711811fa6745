#!/bin/bash
# Makes what the services of the cluster prove themselves by, or renews what is near its end, and gives to each kind of
# service what is its own. Arguments are those of `mini-kube pki init`; with `--daily` in their place it renews day by day.
set -euo pipefail
umask 077

share() {
  install -m 644 /pki/ca.crt /access/ca.crt
  install -m 600 /pki/scheduler.kubeconfig /access/scheduler.kubeconfig
}

if [ "$1" != --daily ]; then
  mini-kube pki init /pki --san lb "$@"
  share
  exit
fi
while sleep 1d; do
  # What failed is tried again the next day: there are sixty of them.
  mini-kube pki renew /pki && share || echo "the certificates were not renewed; see above"
done
