/** remarksOf returns what else is to be said of an alarm: who put it aside, whether it chatters, the last comment. */
export function remarksOf(ctx, a) {
  const { t } = ctx;
  const clock = (ms) => ctx.fmt.clock(ms, ctx.plant.serverNow());
  const out = [];
  if (a.shelved) out.push([t(a.shelved.maintenance ? 'remark.maintenance' : 'remark.shelved', { by: a.shelved.by, time: clock(a.shelved.until) }), a.shelved.reason].filter(Boolean).join(t('remark.because')));
  if (a.suppressed) out.push(t('remark.suppressed'));
  if (a.uncertain) out.push(t('remark.uncertain'));
  if (a.out_of_service) out.push([t('remark.out_of_service', { by: a.out_of_service.by }), a.out_of_service.reason].filter(Boolean).join(t('remark.because')));
  if (a.chattering) out.push(t('remark.chattering'));
  if (a.stale) out.push(t('remark.stale'));
  if (a.historical) out.push(t('remark.historical'));
  if (a.assignee) out.push(t('remark.assignee', { name: a.assignee }));
  if (a.comments?.length) out.push(`“${a.comments.at(-1).text}”`);
  return out.join(' · ');
}
