// Two flat dictionaries, of which a page loads one. A text is looked up by its key; {name} in it is filled in.

/** LANGUAGES are those there is a dictionary for, with the function that loads it. */
export const LANGUAGES = {
  en: () => import('../i18n/en.js').then((m) => m.default),
  zh: () => import('../i18n/zh.js').then((m) => m.default),
};

/** FURTHER are dictionaries that come with a page. */
export const FURTHER = {
  anomaly: {
    en: () => import('../i18n/anomaly.en.js').then((m) => m.default),
    zh: () => import('../i18n/anomaly.zh.js').then((m) => m.default),
  },
  audit: {
    en: () => import('../i18n/audit.en.js').then((m) => m.default),
    zh: () => import('../i18n/audit.zh.js').then((m) => m.default),
  },
  credentials: {
    en: () => import('../i18n/credentials.en.js').then((m) => m.default),
    zh: () => import('../i18n/credentials.zh.js').then((m) => m.default),
  },
  people: {
    en: () => import('../i18n/people.en.js').then((m) => m.default),
    zh: () => import('../i18n/people.zh.js').then((m) => m.default),
  },
  report: {
    en: () => import('../i18n/report.en.js').then((m) => m.default),
    zh: () => import('../i18n/report.zh.js').then((m) => m.default),
  },
  rules: {
    en: () => import('../i18n/rules.en.js').then((m) => m.default),
    zh: () => import('../i18n/rules.zh.js').then((m) => m.default),
  },
  system: {
    en: () => import('../i18n/system.en.js').then((m) => m.default),
    zh: () => import('../i18n/system.zh.js').then((m) => m.default),
  },
};

/** translator returns t(key, values) for a dictionary, to which t.add(more) adds another. */
export function translator(first) {
  const words = { ...first };
  const t = (key, values) => {
    const text = words[key] ?? key;
    return values ? text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? '')) : text;
  };
  t.has = (key) => key in words;
  t.add = (more) => Object.assign(words, more);
  return t;
}

/** chooseLanguage prefers the stored choice, then the browser's languages. */
export function chooseLanguage(saved, preferred) {
  if (Object.hasOwn(LANGUAGES, saved ?? '')) return saved;
  return (preferred ?? '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
