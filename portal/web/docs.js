// Starts Swagger UI on the document of this portal. Nothing is asked for elsewhere.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', follow);
  follow();

  const { SwaggerUIBundle } = globalThis;
  if (!SwaggerUIBundle) {
    const text = document.createElement('p');
    text.className = 'missing';
    text.textContent = 'This build has no Swagger UI: run make web, then build again. The documents above are complete without it.';
    document.getElementById('api').append(text);
    return;
  }
  SwaggerUIBundle({
    url: '/api/openapi.json',
    dom_id: '#api',
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
    validatorUrl: null,
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
  });
})();
