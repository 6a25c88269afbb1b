// Bundles src into dist: one script, one style sheet, one page. Nothing is fetched.
import { build } from 'esbuild';
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';

const dist = new URL('./dist/', import.meta.url);
await mkdir(dist, { recursive: true });
for (const name of await readdir(dist)) {
  if (name !== '.gitkeep') await rm(new URL(name, dist), { recursive: true });
}
const result = await build({
  entryPoints: { app: 'src/main.js', style: 'src/main.css' },
  absWorkingDir: new URL('.', import.meta.url).pathname,
  outdir: 'dist',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
});
for (const name of ['index.html', 'icon.svg']) {
  await copyFile(new URL(`./src/${name}`, import.meta.url), new URL(name, dist));
}
for (const [name, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${name}  ${(bytes / 1024).toFixed(1)} KiB`);
}
