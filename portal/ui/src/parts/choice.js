// A choice that the page's address keeps.

/**
 * inAddress makes what a select chooses a parameter of the address. apply(value) is called for each choice, and at
 * once for the one that the address has; the options may come later, see wanted.
 */
export function inAddress(ctx, select, key, usual, apply) {
  const chosen = ctx.route().params[key] ?? '';
  select.dataset.wanted = /^[a-z][a-z0-9_]*$/.test(chosen) ? chosen : '';
  select.addEventListener('change', () => {
    select.dataset.wanted = '';
    ctx.setParams({ [key]: select.value === usual ? '' : select.value });
    apply(select.value);
  });
  if (select.dataset.wanted) apply(select.dataset.wanted);
}

/** wanted is the value that a select shows once it has the option. */
export const wanted = (select) => select.dataset.wanted || select.value;
