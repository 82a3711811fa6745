import { MAX_SCORE, type SchedulerPlugin } from "../framework.ts";
import { imageName } from "../node-info.ts";

const MB = 1024 * 1024;
/** Below this a pull is not worth a thought; above, per container, more makes no difference. */
const MIN = 23 * MB;
const MAX_PER_CONTAINER = 1000 * MB;

interface State {
  readonly images: readonly { readonly name: string; readonly spread: number }[];
  readonly max: number;
}

/** Prefers nodes that have the Pod's images; the less, the fewer nodes have them, lest one node draws all Pods. */
export const imageLocality: SchedulerPlugin<State> = {
  name: "ImageLocality",
  prepare({ pod }, snapshot) {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const images = containers.flatMap((c) => {
      const name = imageName(c.image ?? "");
      const nodes = snapshot.imageNodes(name);
      return nodes === 0 ? [] : [{ name, spread: nodes / snapshot.nodes.length }];
    });
    return images.length === 0 ? "skip" : { images, max: MAX_PER_CONTAINER * containers.length };
  },
  score(_, node, { images, max }) {
    let sum = 0;
    for (const { name, spread } of images) sum += (node.images.get(name) ?? 0) * spread;
    return (MAX_SCORE * (Math.min(Math.max(sum, MIN), max) - MIN)) / (max - MIN);
  },
};
