// One rule: what it says, its day beside it, a change of it, and all changes it has had.
import { h, setAttr, setText } from '../core/dom.js';
import { format } from '../core/router.js';
import { createDryRun } from './dryrun.js';
import { askRemoval, backTo, createProposal } from './propose.js';
import { createRuleChart } from './rulechart.js';
import { createVersions } from './rulechanges.js';
import { beginWith, createRuleForm } from './ruleform.js';
import { ruleDelays, ruleText } from './rules.js';

const TABS = ['change', 'versions'];

/** formOf is what of a rule the form and the chart are built for: with another one the panel is built anew. */
const formOf = (r) => JSON.stringify([r.kind, r.parameter, r.unit, r.per, r.disabled, Boolean(r.other)]);

/**
 * createRuleDetail makes the panel of a rule. page is {version(), reload()}. update(rule) is for when the rules were read
 * again; it returns false if the panel does not fit the rule any more.
 */
export function createRuleDetail(ctx, scope, rule, tab, page) {
  const { t } = ctx;
  let now = rule;
  const version = h('span', { class: 'panel-note num' });
  const says = h('span');
  const delays = h('span', { class: 'sub num' });
  const links = h('div', { class: 'rule-links' });
  const news = h('p', { class: 'rule-gap', role: 'status', hidden: true, 'data-news': true });
  const counts = Object.fromEntries(TABS.map((name) => [name, h('span', { class: 'tab-count num' })]));
  const form = createRuleForm(ctx, rule);
  const dryRun = createDryRun(ctx, scope, form);
  const proposal = createProposal(ctx, form, dryRun, { version: page.version, onDone: changed, onStale: page.reload });
  const versions = createVersions(ctx, scope, rule.id, (c) => {
    form.take(c.yaml);
    show('change');
    proposal.scrollIntoView({ block: 'nearest' });
    proposal.querySelector('textarea').focus();
  });
  const panels = {
    change: h('div', {}, news, rule.disabled ? null : createRuleChart(ctx, scope, form), dryRun.el, proposal),
    versions: versions.el,
  };
  const buttons = TABS.map((name) => h('button', { class: 'button is-small', role: 'tab', id: `rule-tab-${name}`, 'aria-controls': `rule-panel-${name}`, 'data-tab': name, onclick: () => show(name) }, t(`rules.tab.${name}`), counts[name]));
  for (const name of TABS) {
    for (const [k, v] of Object.entries({ role: 'tabpanel', id: `rule-panel-${name}`, 'aria-labelledby': `rule-tab-${name}` })) panels[name].setAttribute(k, v);
  }

  function show(name) {
    tab = TABS.includes(name) ? name : TABS[0];
    for (const b of buttons) setAttr(b, 'aria-selected', String(b.dataset.tab === tab));
    for (const n of TABS) panels[n].hidden = n !== tab;
    if (ctx.route().subject === rule.id) ctx.setParams({ tab: tab === TABS[0] ? '' : tab });
    if (tab === 'versions') versions.load();
  }

  async function changed() {
    await page.reload();
    if (tab === 'versions') versions.load();
  }

  function draw() {
    setText(version, now.version ? t('rules.version', { version: now.version }) : t('rules.disabled'));
    setText(says, now.disabled ? '' : ruleText(now, ctx));
    setText(delays, ruleDelays(now, ctx));
    setText(counts.versions, now.versions ? ctx.fmt.count(now.versions) : '');
  }

  function drawLinks() {
    links.replaceChildren(...[
      h('a', { class: 'button is-small', 'data-journal': true, href: format({ page: 'alarms', params: { tab: 'journal', rule: now.id } }) }, t('rules.journal')),
      now.sample ? h('a', { class: 'button is-small', 'data-sample': true, href: ctx.deviceHref(now.sample) }, `${t('rules.sample')}: ${ctx.deviceName(now.sample)}`) : null,
      now.origin === 'page' ? h('button', { class: 'button is-small', type: 'button', 'data-back': true, 'data-needs': 'rule_change', 'data-key': 'back', onclick: () => askRemoval(ctx, now, page.version(), changed) }, t(backTo(now))) : null,
    ].filter(Boolean));
  }

  draw();
  drawLinks();
  show(tab);
  return {
    id: rule.id,
    el: h('section', { class: 'panel rule-open', 'aria-label': rule.id, 'data-open': rule.id },
      h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, rule.id), version, h('span', { class: 'panel-space' }), h('span', { class: 'group', role: 'tablist', 'aria-label': rule.id }, buttons)),
      h('p', { class: 'rule-says' }, says, delays), links, Object.values(panels)),
    /** update shows the rule as it is by now. What is being typed stays, and it is said when it is about another rule than before. */
    update(next) {
      if (formOf(next) !== formOf(now)) return false;
      const isOther = next.text !== now.text;
      if (isOther && form.isChanged()) {
        news.hidden = false;
        setText(news, t('rules.news', { text: [ruleText(next, ctx), ruleDelays(next, ctx)].filter(Boolean).join(' · ') }));
      } else if (isOther) news.hidden = true;
      const linked = now.origin !== next.origin || now.sample !== next.sample;
      now = next;
      if (isOther) form.rebase(next);
      if (isOther && tab === 'versions') versions.load();
      draw();
      if (linked) drawLinks();
      return true;
    },
  };
}

/** createNewRule makes the panel of a rule that there is not yet. */
export function createNewRule(ctx, scope, page) {
  const { t } = ctx;
  const form = createRuleForm(ctx, null, t('rules.new.template'));
  const dryRun = createDryRun(ctx, scope, form);
  return h('section', { class: 'panel rule-open', 'aria-label': t('rules.new'), 'data-open': '' },
    h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, t('rules.new')), h('span', { class: 'panel-note' }, t('rules.new.what'))),
    dryRun.el, createProposal(ctx, form, dryRun, { version: page.version, onStale: page.reload, onDone: () => ctx.go('rules') }));
}

/** createGoneRule makes the panel of a rule that is not in force: the changes it has had. */
export function createGoneRule(ctx, scope, id) {
  const { t } = ctx;
  const versions = createVersions(ctx, scope, id, (c) => {
    beginWith(c.yaml);
    ctx.go('rules', '', { new: 1 });
  });
  versions.load();
  return h('section', { class: 'panel rule-open', 'aria-label': id, 'data-open': id },
    h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, id), h('span', { class: 'panel-note' }, t('rules.gone'))), versions.el);
}
