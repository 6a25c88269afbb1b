// Why the portal did not do what it was asked to do with a rule, in words.
import { problemText } from '../model/ruleproblems.js';

/** problemsOf returns what is wrong with the rule that was sent. */
export const problemsOf = (e) => e.body?.error?.problems ?? [];

/** whyNot says why the portal did not do what it was asked to do with a rule. */
export function whyNot(ctx, e) {
  const why = ctx.t.has(`rules.why.${e.code}`) ? ctx.t(`rules.why.${e.code}`) : e.message;
  return [why, ...problemsOf(e).map((p) => [p.field, problemText(p.message, ctx.t)].filter(Boolean).join(' '))].join('; ');
}
