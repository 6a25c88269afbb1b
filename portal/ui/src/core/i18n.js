// Two flat dictionaries, of which a page loads one. A text is looked up by its key; {name} in it is filled in.

/** LANGUAGES are those there is a dictionary for, with the function that loads it. */
export const LANGUAGES = {
  en: () => import('../i18n/en.js').then((m) => m.default),
  zh: () => import('../i18n/zh.js').then((m) => m.default),
};

/** translator returns t(key, values) for a dictionary. */
export function translator(words) {
  const t = (key, values) => {
    const text = words[key] ?? key;
    return values ? text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? '')) : text;
  };
  t.has = (key) => key in words;
  return t;
}

/** withMore returns a translator that has the texts of words besides those of t. */
export function withMore(t, words) {
  const more = translator(words);
  const both = (key, values) => (more.has(key) ? more(key, values) : t(key, values));
  both.has = (key) => more.has(key) || t.has(key);
  return both;
}

/** chooseLanguage prefers the stored choice, then the browser's languages. */
export function chooseLanguage(saved, preferred) {
  if (Object.hasOwn(LANGUAGES, saved ?? '')) return saved;
  return (preferred ?? '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
