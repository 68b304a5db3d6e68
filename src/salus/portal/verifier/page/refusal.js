// What does not hold ends the check: the checklist and the step of docs/spec that refused.

export class Refusal extends Error {
  constructor(checklist, step) {
    super(`${checklist} check, step ${step}`);
    this.checklist = checklist;
    this.step = step;
  }
}

/** A step of a checklist, to refuse at. */
export const step = (checklist, number) => ({ checklist, step: number });

/** Refuse unless a step holds. */
export function need(at, holds) {
  if (!holds) throw new Refusal(at.checklist, at.step);
}
