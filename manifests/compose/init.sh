#!/bin/bash
# Makes what the services of the cluster prove themselves by, or renews what is near its end, and gives to each kind of
# service what is its own. Arguments are those of `mini-kube pki init`.
set -euo pipefail
umask 077
mini-kube pki init /pki --san lb "$@"
install -m 644 /pki/ca.crt /access/ca.crt
install -m 600 /pki/scheduler.kubeconfig /access/scheduler.kubeconfig
