/** Answers of others, for as long as they may be kept. */
import type { Clock } from "../../util/clock.ts";
import type { Answer, Question, ResourceRecord } from "./message.ts";

/** However long an answer says it is good: a day is too long to wait for a correction. */
const MAX_TTL = 3600;
const MAX_NEGATIVE_TTL = 30;

interface Entry {
  readonly answer: Answer;
  readonly storedAt: number;
  readonly until: number;
}

export const questionKey = ({ name, type }: Question): string => `${type} ${name.toLowerCase()}`;

/**
 * Holds at most `size` answers; the one unused for longest goes first. What is told from it has its TTL reduced by its
 * age. Failures are not kept.
 */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #size: number;

  constructor(o: { readonly clock: Clock; readonly size: number }) {
    this.#clock = o.clock;
    this.#size = o.size;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(question: Question): Answer | undefined {
    const key = questionKey(question);
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const now = this.#clock.now();
    this.#entries.delete(key);
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    return aged(entry.answer, Math.floor((now - entry.storedAt) / 1000));
  }

  put(question: Question, answer: Answer): void {
    const seconds = lifetime(answer);
    if (seconds <= 0) return;
    const storedAt = this.#clock.now();
    this.#entries.set(questionKey(question), { answer, storedAt, until: storedAt + seconds * 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#size) break;
      this.#entries.delete(oldest);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** Seconds an answer may be kept; that there is none, as RFC 2308 says. */
export function lifetime({ rcode, answers, authorities = [] }: Answer): number {
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return 0;
  if (rcode === "NOERROR" && answers.length > 0) return Math.min(MAX_TTL, ...answers.map((a) => a.ttl ?? 0));
  const soa = authorities.find((a) => a.type === "SOA");
  return soa ? Math.min(MAX_NEGATIVE_TTL, soa.ttl ?? 0, soa.data.minimum ?? 0) : 0;
}

function aged(answer: Answer, seconds: number): Answer {
  const age = (r: ResourceRecord): ResourceRecord => ({ ...r, ttl: Math.max(0, (r.ttl ?? 0) - seconds) });
  return { ...answer, answers: answer.answers.map(age), authorities: (answer.authorities ?? []).map(age) };
}
