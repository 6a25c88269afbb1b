// Two flat dictionaries. A text is looked up by its key; {name} in it is filled in.
import en from '../i18n/en.js';
import zh from '../i18n/zh.js';

export const dictionaries = { en, zh };

/** translator returns t(key, values) for a language. */
export function translator(lang) {
  const words = dictionaries[lang] ?? en;
  const t = (key, values) => {
    const text = words[key] ?? en[key] ?? key;
    return values ? text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? '')) : text;
  };
  t.has = (key) => key in words;
  return t;
}

/** chooseLanguage prefers the stored choice, then the browser's languages. */
export function chooseLanguage(saved, preferred) {
  if (Object.hasOwn(dictionaries, saved ?? '')) return saved;
  return (preferred ?? '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
