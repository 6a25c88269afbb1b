// Bundles src into dist: a script and what pages of their own need, one style sheet, one page. Nothing is fetched.
import { build } from 'esbuild';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const dist = new URL('./dist/', import.meta.url);
await mkdir(dist, { recursive: true });
for (const name of await readdir(dist)) {
  if (name !== '.gitkeep') await rm(new URL(name, dist), { recursive: true });
}
const result = await build({
  entryPoints: { app: 'src/main.js', style: 'src/main.css', rules: 'src/styles/rulespage.css', plan: 'src/styles/plan.css', anomaly: 'src/styles/anomaly.css', people: 'src/styles/people.css', report: 'src/styles/report.css' }, // style sheets beside style come with their pages
  absWorkingDir: new URL('.', import.meta.url).pathname,
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  minify: true,
  format: 'esm',
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
});
await copyFile(new URL('./src/icon.svg', import.meta.url), new URL('icon.svg', dist));
// What app.js imports is asked for together with it, not after it.
const { imports } = result.metafile.outputs['dist/app.js'];
const links = imports.filter((i) => i.kind === 'import-statement').map((i) => `    <link rel="modulepreload" href="/${i.path.replace('dist/', '')}" />\n`);
const index = await readFile(new URL('./src/index.html', import.meta.url), 'utf8');
await writeFile(new URL('index.html', dist), index.replace('    <script', `${links.join('')}    <script`));
for (const [name, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${name}  ${(bytes / 1024).toFixed(1)} KiB`);
}

// Swagger UI for /api/docs, compressed here rather than at each start of the portal, with its
// licence texts.
const swagger = new URL('./node_modules/swagger-ui-dist/', import.meta.url);
const pack = async (name, from) => {
  const parts = await Promise.all(from.map((file) => readFile(new URL(file, swagger), 'utf8')));
  const body = gzipSync(parts.join('\n').replace(/^\/[/*][#@] sourceMappingURL=.*$/gm, ''), { level: 9 });
  await writeFile(new URL(`docs/${name}.gz`, dist), body);
  console.log(`dist/docs/${name}.gz  ${(body.length / 1024).toFixed(1)} KiB`);
};
await mkdir(new URL('docs/', dist));
await pack('swagger-ui.css', ['swagger-ui.css']);
await pack('swagger-ui-bundle.js', ['swagger-ui-bundle.js']);
await pack('swagger-ui-licence.txt', ['NOTICE', 'LICENSE', 'swagger-ui-bundle.js.LICENSE.txt']);
