/** Counts of standing Pods by what selectors say of them, kept up to date as Pods come and go. */
import type { NodeInfo } from "./node-info.ts";
import { termSelects, type AffinityTerm, type PodInfo } from "./pod-info.ts";

/** Which Pods to count. `key` names the question: equal keys, equal answers for every Pod. */
export interface Selection {
  readonly key: string;
  readonly selects: (p: PodInfo) => boolean;
}

/** Beyond this the question that was not asked for longest is forgotten; asked again, it is counted anew. */
const MAX_TALLIES = 2_000;

/** How many Pods of one sort stand on each node, and in each domain of a topology. */
export class Tally {
  readonly #byNode = new Map<NodeInfo, number>();
  readonly #byDomain = new Map<string, Map<string, number>>();

  get empty(): boolean {
    return this.#byNode.size === 0;
  }

  on(node: NodeInfo): number {
    return this.#byNode.get(node) ?? 0;
  }

  /** By value of the node label `topologyKey`; domains without such Pods are left out. */
  domains(topologyKey: string): ReadonlyMap<string, number> {
    const known = this.#byDomain.get(topologyKey);
    if (known) return known;
    const counts = new Map<string, number>();
    for (const [node, count] of this.#byNode) bump(counts, node.domain(topologyKey), count);
    this.#byDomain.set(topologyKey, counts);
    return counts;
  }

  add(node: NodeInfo, amount: number): void {
    bump(this.#byNode, node, amount);
    for (const [key, counts] of this.#byDomain) bump(counts, node.domain(key), amount);
  }
}

function bump<K>(counts: Map<K, number>, key: K | undefined, amount: number): void {
  if (key === undefined) return;
  const count = (counts.get(key) ?? 0) + amount;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

/** Pods that no selection can tell apart (PodInfo.sort), and the questions that they count for. */
interface Sort {
  readonly sample: PodInfo;
  readonly byNode: Map<NodeInfo, number>;
  readonly asked: Set<Question>;
}

interface Question {
  readonly selection: Selection;
  readonly tally: Tally;
  readonly sorts: Set<Sort>;
}

/**
 * Tallies of all questions asked lately.
 *
 *  Y1  A tally equals a recount over all Pods given to `add`, at any time.
 *  Y2  A Pod that comes or goes costs the tallies it counts in, however many others there are.
 *  Y3  A new question costs the sorts of Pods there are, not the Pods.
 */
export class Tallies {
  readonly #sorts = new Map<string, Sort>();
  /** In the order in which they were last asked. */
  readonly #questions = new Map<string, Question>();

  of(selection: Selection): Tally {
    const { key } = selection;
    const question = this.#questions.get(key) ?? this.#ask(selection);
    this.#questions.delete(key);
    this.#questions.set(key, question);
    const [oldest] = this.#questions.values();
    if (oldest && this.#questions.size > MAX_TALLIES) this.#forget(oldest);
    return question.tally;
  }

  add(p: PodInfo, node: NodeInfo, amount: 1 | -1): void {
    const sort = this.#sorts.get(p.sort) ?? this.#open(p);
    bump(sort.byNode, node, amount);
    for (const { tally } of sort.asked) tally.add(node, amount);
    if (sort.byNode.size > 0) return;
    this.#sorts.delete(p.sort);
    for (const { sorts } of sort.asked) sorts.delete(sort);
  }

  /** What selections say may have changed: a namespace has other labels now. */
  reset(): void {
    for (const question of this.#questions.values()) this.#forget(question);
  }

  #ask(selection: Selection): Question {
    const question = { selection, tally: new Tally(), sorts: new Set<Sort>() };
    for (const sort of this.#sorts.values()) {
      if (!selection.selects(sort.sample)) continue;
      sort.asked.add(question);
      question.sorts.add(sort);
      for (const [node, count] of sort.byNode) question.tally.add(node, count);
    }
    return question;
  }

  #open(sample: PodInfo): Sort {
    const sort = { sample, byNode: new Map<NodeInfo, number>(), asked: new Set<Question>() };
    for (const question of this.#questions.values()) {
      if (!question.selection.selects(sample)) continue;
      sort.asked.add(question);
      question.sorts.add(sort);
    }
    this.#sorts.set(sample.sort, sort);
    return sort;
  }

  #forget(question: Question): void {
    this.#questions.delete(question.selection.key);
    for (const { asked } of question.sorts) asked.delete(question);
  }
}

/** What standing Pods want of others: never near, rather near (weight above 0), rather not. */
export type Wish = "forbids" | "likes";

/** An affinity term of standing Pods, and where those stand that have it. */
export interface StandingTerm {
  readonly term: AffinityTerm;
  readonly wish: Wish;
  readonly weight: number;
  readonly tally: Tally;
}

/** Of a standing Pod's required affinity, when the incoming Pod is what it wants near: as kube-scheduler's default. */
const HARD_AFFINITY_WEIGHT = 1;

/** The terms of all standing Pods; equal ones, as of replicas, are one. */
export class StandingTerms {
  readonly #terms = new Map<string, StandingTerm>();

  /** Costs the different terms there are. */
  *about(p: PodInfo, labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined) {
    for (const standing of this.#terms.values()) if (termSelects(standing.term, p, labelsOf)) yield standing;
  }

  get empty(): boolean {
    return this.#terms.size === 0;
  }

  add(p: PodInfo, node: NodeInfo, amount: 1 | -1): void {
    for (const term of p.requiredAnti) this.#count("forbids", term, 0, node, amount);
    for (const term of p.required) this.#count("likes", term, HARD_AFFINITY_WEIGHT, node, amount);
    for (const term of p.preferred) this.#count("likes", term, term.weight, node, amount);
    for (const term of p.preferredAnti) this.#count("likes", term, -term.weight, node, amount);
  }

  #count(wish: Wish, term: AffinityTerm, weight: number, node: NodeInfo, amount: 1 | -1): void {
    const key = `${wish} ${weight} ${term.id}`;
    const standing = this.#terms.get(key) ?? { term, wish, weight, tally: new Tally() };
    standing.tally.add(node, amount);
    if (standing.tally.empty) this.#terms.delete(key);
    else this.#terms.set(key, standing);
  }
}
