/**
 * What an expression may cost. A CEL expression always ends, but lists within lists multiply: every step of a loop and
 * every text that a pattern reads is paid for.
 */
export class BudgetError extends Error {
  constructor() {
    super("operation cancelled: actual cost limit exceeded");
    this.name = "BudgetError";
  }
}

/** Shared by the expressions of one request. */
export interface Budget {
  left: number;
}

/** Less than half a second's work: what one request may spend on all its rules. */
export const REQUEST_BUDGET = 500_000;

export const newBudget = (steps = REQUEST_BUDGET): Budget => ({ left: steps });

let current: Budget = newBudget();

/** Of the expression under way: evaluation is synchronous, so there is only ever one. */
export const meter = {
  /** Throws {@link BudgetError}. */
  spend(steps: number): void {
    current.left -= steps;
    meter.check();
  },
  check(): void {
    if (current.left < 0) throw new BudgetError();
  },
};

export function withBudget<T>(budget: Budget, work: () => T): T {
  const before = current;
  current = budget;
  try {
    return work();
  } finally {
    current = before;
  }
}
