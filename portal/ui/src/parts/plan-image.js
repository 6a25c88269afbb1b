// Pictures from a person's computer: made as small as the portal keeps them, and sent there. What the browser cannot
// draw is no picture; drawing it anew also leaves out where a photo was taken.
import { post } from '../core/api.js';
import { h } from '../core/dom.js';
import { fit } from '../model/plan.js';

const MOST = 512 * 1024; // bytes, and
const SIDE = 2000; // px, as the portal checks them
const ACCEPTED = ['image/png', 'image/jpeg', 'image/webp'];
/** What is tried until the picture is small enough: type, quality, longest side. */
const ATTEMPTS = [['image/webp', 0.92, SIDE], ['image/webp', 0.75, SIDE], ['image/jpeg', 0.8, SIDE], ['image/jpeg', 0.7, 1400], ['image/jpeg', 0.6, 1000]];

/** choosePicture is a button that asks for a file; give({url, data, width, height}) gets the picture, fail(text) why there is none. */
export function choosePicture(ctx, label, give, fail) {
  const input = h('input', { type: 'file', accept: ACCEPTED.join(), class: 'sr-only', tabindex: '-1', 'aria-hidden': 'true', 'data-picture-file': true, onchange: async () => {
    const file = input.files[0];
    input.value = '';
    if (!file) return;
    try {
      give(await shrink(file));
    } catch {
      fail(ctx.t('picture.bad', { file: file.name }));
    }
  } });
  return h('span', { 'data-needs': 'keep_notes' }, h('button', { class: 'button is-small', type: 'button', 'data-picture': true, onclick: () => input.click() }, label), input);
}

/** shrink draws a picture anew, within the portal's limits. */
async function shrink(file) {
  if (!ACCEPTED.includes(file.type)) throw new Error(file.type);
  const bitmap = await createImageBitmap(file);
  try {
    for (const [type, quality, side] of ATTEMPTS) {
      const [width, height] = fit(bitmap.width, bitmap.height, side);
      const blob = await drawn(bitmap, width, height, type, quality);
      if (blob && blob.size <= MOST) return { url: await dataURL(blob), width, height };
    }
  } finally {
    bitmap.close();
  }
  throw new Error('too large');
}

function drawn(bitmap, width, height, type, quality) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const g = canvas.getContext('2d');
  g.fillStyle = '#fff'; // drawings have no ground of their own
  g.fillRect(0, 0, width, height);
  g.drawImage(bitmap, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, type, quality));
}

const dataURL = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(blob);
});

/** sendPicture keeps a picture in the portal and returns its id. */
export const sendPicture = (by, { url }) => post('/api/v1/images', { by, data: url.slice(url.indexOf(',') + 1) }, { within: 20_000 }).then((a) => a.image.id);
