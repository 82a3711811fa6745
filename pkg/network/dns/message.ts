/** DNS messages between bytes and values. The home of dns-packet. */
import {
  type Answer as PacketAnswer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type OptAnswer,
  type RecordType as PacketType,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from "dns-packet";

export interface Question {
  /** As the client wrote it, without the root's dot. */
  readonly name: string;
  /** `A`, `SRV`, … or `UNKNOWN_65`. */
  readonly type: string;
}

export type ResourceRecord = Readonly<Exclude<PacketAnswer, OptAnswer>>;

export const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export type Rcode = keyof typeof RCODES;

export interface Answer {
  readonly rcode: Rcode;
  /** From the cluster's own zone. */
  readonly authoritative?: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities?: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
}

export interface Query {
  readonly id: number;
  readonly question: Question;
  readonly recursionDesired: boolean;
  /** Bytes the client takes in one datagram; absent: it knows no EDNS. */
  readonly edns?: number;
}

/** What came in: a question, something to be refused at once, or something that deserves no answer. */
export interface Incoming {
  readonly query?: Query;
  readonly refusal?: { readonly rcode: Rcode; readonly reply: Buffer };
}

const HEADER = 12;
const RESPONSE = 0x8000;
const OPCODE = 0x7800;
const TYPE_AND_CLASS = 4;
/** To whom knows no EDNS. */
const PLAIN_UDP = 512;
/** What the server says it takes, and the most it sends in one datagram. */
export const MAX_UDP = 4096;
/** A datagram that fits into any network's frames. */
const SAFE_UDP = 1232;

/** Never throws, whatever the bytes are. An answer is never answered: two servers could do that for ever. */
export function readQuery(bytes: Buffer): Incoming {
  if (bytes.length < HEADER || bytes.readUInt16BE(2) & RESPONSE) return {};
  if (bytes.readUInt16BE(2) & OPCODE) return refuse(bytes, "NOTIMP");
  try {
    const { id = 0, flags = 0, questions = [], additionals = [] } = decode(bytes);
    const [question] = questions;
    if (!question || questions.length !== 1) return refuse(bytes, "FORMERR");
    if (question.name !== "." && !isPlain(question.name)) return refuse(bytes, "FORMERR");
    if ((question.class ?? "IN") !== "IN") return refuse(bytes, "REFUSED");
    const opt = additionals.find((a) => a.type === "OPT");
    const query = {
      id,
      question: { name: question.name === "." ? "" : question.name, type: question.type },
      recursionDesired: (flags & RECURSION_DESIRED) !== 0,
      ...(opt && { edns: opt.udpPayloadSize }),
    };
    return { query };
  } catch {
    return refuse(bytes, "FORMERR");
  }
}

/**
 * Whether dns-packet writes the name as it was read. DNS allows any bytes in a label, dots and what is no UTF-8 included;
 * nobody names anything so.
 */
function isPlain(name: string): boolean {
  const isText = (c: string) => c >= " " && c !== "\x7f" && c !== "\ufffd";
  return name.split(".").every((label) => label !== "" && Array.from(label).every(isText));
}

/** A header alone: of what could not be read nothing is repeated. */
function refuse(bytes: Buffer, rcode: Rcode): Incoming {
  const reply = Buffer.alloc(HEADER);
  bytes.copy(reply, 0, 0, 2);
  const kept = bytes.readUInt16BE(2) & (OPCODE | RECURSION_DESIRED);
  reply.writeUInt16BE(RESPONSE | kept | RCODES[rcode], 2);
  return { refusal: { rcode, reply } };
}

/** The bytes for the client, within what it takes: what does not fit is cut, and said to be cut. */
export function writeAnswer(query: Query, answer: Answer, transport: "udp" | "tcp"): Buffer {
  const most = transport === "tcp" ? 0xffff : Math.max(PLAIN_UDP, Math.min(query.edns ?? PLAIN_UDP, MAX_UDP));
  const whole = write(query, answer, answer.answers.length);
  if (whole.length <= most) return whole;
  // First goes what is a courtesy; then answers, from the end.
  const bare = { ...answer, authorities: [], additionals: [] };
  const short = write(query, bare, answer.answers.length);
  if (short.length <= most) return short;
  const fitting = most / (short.length / answer.answers.length);
  for (let count = Math.floor(fitting); ; count--) {
    const cut = write(query, bare, count, TRUNCATED_RESPONSE);
    if (cut.length <= most || count <= 0) return cut;
  }
}

function write(query: Query, answer: Answer, count: number, more = 0): Buffer {
  const flags =
    RCODES[answer.rcode] |
    RECURSION_AVAILABLE |
    (query.recursionDesired ? RECURSION_DESIRED : 0) |
    (answer.authoritative ? AUTHORITATIVE_ANSWER : 0) |
    more;
  const records = (list: readonly ResourceRecord[] = []) => list as PacketAnswer[];
  const packet = encode({
    type: "response",
    id: query.id,
    flags,
    questions: [packetQuestion(query.question)],
    answers: records(count < answer.answers.length ? answer.answers.slice(0, Math.max(0, count)) : answer.answers),
    authorities: records(answer.authorities),
    additionals: [...records(answer.additionals), ...(query.edns === undefined ? [] : [opt(MAX_UDP)])],
  });
  return pointToQuestion(packet);
}

const packetQuestion = ({ name, type }: Question) => ({ name, type: type as PacketType, class: "IN" as const });

const opt = (udpPayloadSize: number): OptAnswer => ({
  type: "OPT",
  name: ".",
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
});

/**
 * dns-packet writes every name in full. Most records are of the very name asked for; a pointer to it is 2 bytes, so that
 * three times as many fit into a datagram.
 */
function pointToQuestion(packet: Buffer): Buffer {
  const records = packet.readUInt16BE(6) + packet.readUInt16BE(8) + packet.readUInt16BE(10);
  const end = endOfName(packet, HEADER);
  const name = packet.subarray(HEADER, end);
  if (name.length <= 2 || records === 0) return packet;
  let [from, to] = [end + TYPE_AND_CLASS, end + TYPE_AND_CLASS];
  for (let i = 0; i < records; i++) {
    const owner = endOfName(packet, from);
    const next = owner + 10 + packet.readUInt16BE(owner + 8);
    if (packet.compare(name, 0, name.length, from, owner) === 0) {
      to = packet.writeUInt16BE(0xc000 | HEADER, to);
      from = owner;
    }
    packet.copyWithin(to, from, next);
    to += next - from;
    from = next;
  }
  return packet.subarray(0, to);
}

function endOfName(packet: Buffer, start: number): number {
  let at = start;
  for (let length = packet[at] ?? 0; length !== 0; length = packet[at] ?? 0) at += length + 1;
  return at + 1;
}

/** A question to another server. */
export function writeQuery(id: number, question: Question): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [packetQuestion(question)],
    additionals: [opt(SAFE_UDP)],
  });
}

/** Another server's answer to that question; undefined: it is not that. */
export function readAnswer(bytes: Buffer, id: number, asked: Question): (Answer & { truncated: boolean }) | undefined {
  try {
    if (bytes.length < HEADER || bytes.readUInt16BE(0) !== id) return undefined;
    const packet = decode(bytes);
    const [question] = packet.questions ?? [];
    const flags = bytes.readUInt16BE(2);
    const same = question?.type === asked.type && question.name.toLowerCase() === (asked.name || ".").toLowerCase();
    if (!(flags & RESPONSE) || !same) return undefined;
    const records = (list: readonly PacketAnswer[] = []) => list.filter((r): r is ResourceRecord => r.type !== "OPT");
    return {
      rcode: (Object.entries(RCODES).find(([, code]) => code === (flags & 0xf))?.[0] ?? "SERVFAIL") as Rcode,
      answers: records(packet.answers),
      authorities: records(packet.authorities),
      additionals: [],
      truncated: (flags & TRUNCATED_RESPONSE) !== 0,
    };
  } catch {
    return undefined;
  }
}
