/** The socket that DOCKER_HOST names; undefined: the usual one. Throws when it names another machine. */
export function dockerSocket(env: NodeJS.ProcessEnv): string | undefined {
  const host = env.DOCKER_HOST;
  if (host === undefined || host === "") return undefined;
  if (host.startsWith("unix://")) return host.slice("unix://".length);
  throw new Error(`DOCKER_HOST=${host} is not on this machine; containers need the local daemon (unix://…)`);
}
