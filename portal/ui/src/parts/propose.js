// From a change that is being typed to a proposal: what differs, why, and who says so.
import { post } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { remembered } from '../core/remembered.js';
import { differing, idIn, lineDiff } from '../model/rulechange.js';
import { askBy, operator } from './command.js';
import { diffOf } from './diff.js';
import { problemsOf, whyNot } from './ruleerrors.js';

const MOST = 1024; // bytes of a reason

/** newID is that of a change; it is sent again when an answer was lost, so that nothing is proposed twice. */
const newID = () => `c-${crypto.randomUUID?.() ?? `${Date.now()}-${Math.floor(Math.random() * 1e9)}`}`;

/** trialText says what a dry run found. */
export const trialText = (ctx, trial) => ctx.t('rules.trial', { before: ctx.fmt.count(trial.before), after: ctx.fmt.count(trial.after), time: ctx.fmt.age(trial.hours * 3_600_000, ctx.t) });

/** createProposal makes what follows the form of a rule. version() is that of the rules as they are shown; onDone() is called after a proposal, onStale() when the rule is another one by now. */
export function createProposal(ctx, form, dryRun, { version, onDone, onStale }) {
  const { t } = ctx;
  const diff = h('div');
  const differs = h('p', { class: 'panel-note num', 'data-differs': true });
  const trial = h('p', { class: 'panel-note num', 'data-trial': true });
  const reason = h('textarea', { class: 'control', rows: '2', maxlength: MOST, name: 'reason', required: true });
  const by = h('input', { class: 'control', maxlength: '128', name: 'by', required: true, autocomplete: 'name', value: operator() });
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const go = h('button', { class: 'button is-primary', type: 'submit', 'data-propose': true }, t('rules.propose'));
  const rest = h('div', { class: 'rule-propose-rest' }, h('div', {}, diff, trial),
    h('div', { class: 'rule-propose-why' }, h('label', {}, t('rules.reason'), reason), h('label', {}, t('command.name'), by),
      h('div', { class: 'rule-propose-end' }, go, h('span', { class: 'panel-note' }, t('rules.propose.what'))), error));
  let id = newID();
  let sent = '';

  reason.value = form.draft.reason ?? '';
  reason.addEventListener('input', () => {
    form.draft.reason = reason.value;
    form.keep();
  });

  function draw() {
    const is = form.isChanged();
    const base = form.base();
    const n = differing(lineDiff(base.text ?? '', form.text()));
    const other = is && !form.isNew && idIn(form.text()) !== base.id;
    setText(differs, !is ? t('rules.propose.none') : other ? t('rules.propose.other', { id: idIn(form.text()) || '?', rule: base.id }) : form.isNew ? '' : t('rules.differs', { n }));
    rest.hidden = !is;
    diff.replaceChildren(...(is && !form.isNew ? [diffOf(ctx, base.text ?? '', form.text())] : []));
    drawTrial();
  }

  function drawTrial() {
    const of = dryRun.trial();
    setText(trial, of ? t('rules.propose.trial', { trial: trialText(ctx, of) }) : t('rules.propose.untried'));
    setAttr(trial, 'data-trial', of ? 'yes' : 'no');
  }

  async function propose(event) {
    event.preventDefault();
    if (!form.check()) return;
    const missing = [[reason, 'command.missing.reason'], [by, 'command.missing.name']].find(([el]) => !el.value.trim());
    if (missing) {
      setText(error, t(missing[1]));
      return missing[0].focus();
    }
    const body = { rule: idIn(form.text()) || form.base().id, ...only(form.content()), reason: reason.value.trim(), by: by.value.trim(), if_version: version(), ...(dryRun.trial() && { trial: dryRun.trial() }) };
    if (sent && sent !== JSON.stringify(body)) id = newID(); // what is said now is another proposal
    sent = JSON.stringify(body);
    remembered.set('operator', body.by);
    ctx.channel.present(body.by);
    go.disabled = true;
    setText(error, '');
    try {
      await post('/api/v1/rules/changes', { change_id: id, ...body });
      id = newID();
      sent = reason.value = form.draft.reason = '';
      form.done();
      ctx.tell(t('rules.proposed'));
      onDone();
    } catch (e) {
      await refused(e);
    } finally {
      go.disabled = false;
    }
  }

  /** refused says why; what was typed stays. */
  async function refused(e) {
    if (problemsOf(e).length > 0) form.show(problemsOf(e));
    if (e.code === 'rule_changed') await onStale();
    setText(error, t('rules.propose.failed', { why: whyNot(ctx, e) }));
  }

  form.onChange(draw);
  dryRun.onTrial(drawTrial);
  draw();
  return h('form', { class: 'rule-propose', 'data-needs': 'rule_change', novalidate: true, onsubmit: propose, 'aria-label': t('rules.propose') }, h('h3', {}, t('rules.propose')), differs, rest);
}

/** only is the change itself: the portal wants the rule's id beside it. */
const only = ({ yaml, change }) => (yaml === undefined ? { change } : { yaml });

/** backTo is what taking back all changes of a rule does: the rule of the file or of the settings is in force again, or there is none. */
export const backTo = (rule) => (rule.source === 'page' ? 'rules.remove' : 'rules.back');

/** askRemoval asks for the reason to take back all changes of a rule, and proposes it. */
export function askRemoval(ctx, rule, version, onDone) {
  const { t } = ctx;
  const reason = h('textarea', { class: 'control', rows: '2', maxlength: MOST, name: 'reason', required: true });
  const id = newID();
  askBy(ctx, t(backTo(rule)), rule.id, [h('p', { class: 'panel-note' }, t(`${backTo(rule)}.what`)), h('label', {}, t('rules.reason'), reason)], async (by) => {
    await post('/api/v1/rules/changes', { change_id: id, rule: rule.id, remove: true, reason: reason.value.trim(), by, if_version: version });
    ctx.tell(t('rules.proposed'));
    onDone();
  }, (e) => whyNot(ctx, e));
  reason.focus();
}
