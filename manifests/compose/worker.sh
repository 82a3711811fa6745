#!/bin/bash
# A worker of the compose cluster: a machine in a container. Starts its Docker daemon and its agent, starts again what
# ends (an agent that dies takes no container with it), and stops them in order.
set -euo pipefail

say() { echo "worker: $*" >&2; }

# Compose numbers its containers, and Docker's DNS knows the name by the address: PROJECT_worker_2 is worker-2 for good.
address=$(hostname -i | cut -d' ' -f1)
name=$({ getent -s dns hosts "$address" || true; } | sed -nE 's/^.*[ _-]([a-z]+)[_-]([0-9]+)(\..*)?$/\1-\2/p' | head -n1)
name=${name:-$(hostname)}
home=/workers/$name
mkdir -p "$home/docker" "$home/agent"
exec 9> "$home.lock"
flock -n 9 || { say "another container is $name already"; exit 1; }

# What the container sees of /proc and /sys it may change, too: networks are set up there, and limits of Pods.
findmnt -rno TARGET,OPTIONS | while read -r path options; do
  case "$path,$options," in /proc/*,ro,* | /sys,ro,* | /sys/fs/cgroup*,ro,*) mount -o remount,bind,rw "$path" ;; esac
done
# Version 2 divides a group only when no process is in it itself.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/worker
  while read -r process; do echo "$process" > /sys/fs/cgroup/worker/cgroup.procs || true; done < /sys/fs/cgroup/cgroup.procs
  sed 's/[^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi
mount --make-rshared /

start_docker() {
  rm -f /run/docker.pid /run/docker/containerd/containerd.pid
  dockerd --data-root "$home/docker" --host unix:///run/docker.sock --log-level warn 9>&- &
  docker=$!
}

start_agent() {
  mini-kube-agent --node-name "$name" --data-dir "$home/agent" --kubeconfig "$home/agent/kubeconfig" \
    --bootstrap-kubeconfig /join/bootstrap.kubeconfig --address "$address" 9>&- &
  agent=$!
}

agent= docker=
stop() {
  trap '' TERM INT
  # However the agent ends, Docker is stopped in order, too.
  for program in $agent $docker; do kill -TERM "$program" 2> /dev/null && wait "$program" || true; done
  exit 0
}
trap stop TERM INT

start_docker
until docker version > /dev/null 2>&1; do sleep 0.2; kill -0 "$docker"; done
start_agent
say "$name at $address"
while true; do
  wait -n || true
  if ! kill -0 "$docker" 2> /dev/null; then say "dockerd ended; starting it again"; start_docker; fi
  if ! kill -0 "$agent" 2> /dev/null; then say "the agent ended; starting it again"; start_agent; fi
  sleep 1
done
