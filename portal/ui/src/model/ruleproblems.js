// What core says is wrong with a rule, in the page's language. Core's messages are what was found and what is wanted:
// `"warm": want a number`, `missing; want a time like 30s or 5m`, `unknown field; want one of id, type`.

/** Wants that are words; the others are names and figures of the rules file. */
const WANTS = {
  'a number': 'number',
  'a finite number': 'number',
  'a finite number, 0 or more': 'not_negative',
  'more than 0': 'positive',
  'a time with its unit, like 30s, 5m or 1h30m': 'time',
  'a time like 30s or 5m': 'time',
  'true or false': 'boolean',
  'a list': 'list',
  'it once': 'once',
  'another': 'another',
  'a name of letters, digits, _ or -': 'name',
  '1 to 64 letters, digits, _ or -': 'name',
  'a plain name': 'name',
};
const HEADS = [['missing; want ', 'missing'], ['unknown field; want one of ', 'unknown'], ['the key occurs twice; want ', 'twice'], ['this is not YAML: ', 'syntax']];

/** problemText puts a message of core into words; one that is not known stays as it is. */
export function problemText(message, t) {
  const head = HEADS.find(([begin]) => message.startsWith(begin));
  if (head) {
    const rest = message.slice(head[0].length);
    return t(`rules.wrong.${head[1]}`, { want: head[1] === 'syntax' ? rest : wantText(rest, t) });
  }
  const [, found, want] = /^(.*): want (.*)$/s.exec(message) ?? [];
  return want === undefined ? message : t('rules.wrong', { found, want: wantText(want, t) });
}

function wantText(want, t) {
  if (want in WANTS) return t(`rules.want.${WANTS[want]}`);
  const [, limit] = /^less than the limit, (.*)$/.exec(want) ?? [];
  if (limit !== undefined) return t('rules.want.below_limit', { limit });
  const list = want.replace(/ or ([^ ]+)$/, t('rules.want.or', { last: '$1' })).replace(/^(\S+) to (\S+)$/, t('rules.want.range', { from: '$1', to: '$2' }));
  return t('rules.want.names', { list });
}
