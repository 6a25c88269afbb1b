// What a record of the security audit says, in the reader's language.

/** REASONS of the portal, by the beginning of their text. The portal's files have the same words. */
const REASONS = [
  ['wrong name or password', 'password'],
  ['the token is unknown', 'token'],
  ['not permitted to a', 'role'],
];

/** word is a code of the record in words, or as it came if a later version of a program wrote it. */
const word = (t, kind, code) => (t.has(`security.${kind}.${code}`) ? t(`security.${kind}.${code}`) : code);

/** eventText is what happened, and how often. */
export const eventText = (t, r) => [word(t, 'what', r.what), r.count > 1 && t('security.times', { n: r.count })].filter(Boolean).join(' · ');

/** outcomeText is what came of it, empty if it is done. */
export const outcomeText = (t, r) => (!r.outcome || r.outcome === 'done' ? '' : word(t, 'outcome', r.outcome));

/** thwarted tells whether it was refused, or failed. */
export const thwarted = (r) => ['failed', 'delayed', 'refused'].includes(r.outcome);

/** meansText is how a person or program proved who they are, and from where. */
export const meansText = (t, r) => [r.via && word(t, 'via', r.via), r.address].filter(Boolean).join(' · ');

/** noteText is what else it says. */
export function noteText(t, r) {
  const known = REASONS.find(([begin]) => r.reason?.startsWith(begin));
  return [r.detail, known ? t(`security.reason.${known[1]}`) : r.reason].filter(Boolean).join(' · ');
}
